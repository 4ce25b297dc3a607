//! Health: what one reading says, what a row of them comes to, and when we suspect ourselves.

mod detection;
mod guarding;
mod inertia;
mod numbers;
mod order;
mod readings;
mod stalling;
mod table;
