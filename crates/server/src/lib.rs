pub mod chance; pub mod config; pub mod intake; pub mod links; pub mod loops; pub mod ops; pub mod panels; pub mod waiters;
