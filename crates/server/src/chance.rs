//! What is drawn by lot: the secrets of new keys and tokens. The generator is always an argument.

use rand::RngCore;
use uuid::{Builder, Uuid};

/// Letters that panels, links and people all cope with; 32 of them, so that a byte's low five bits choose fairly.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const SUB_ID_LETTERS: usize = 20;
const TOKEN_LETTERS: usize = 40;

/// A new key's UUID (version 4) and subscription id.
pub fn identity(chance: &mut (dyn RngCore + Send)) -> (Uuid, String) {
    let mut bytes = [0; 16];
    chance.fill_bytes(&mut bytes);
    (Builder::from_random_bytes(bytes).into_uuid(), letters(chance, SUB_ID_LETTERS))
}

/// A new bearer token: `mst_` and 200 random bits.
pub fn token(chance: &mut (dyn RngCore + Send)) -> String {
    format!("mst_{}", letters(chance, TOKEN_LETTERS))
}

/// A new key for sealing panel secrets at rest.
pub fn sealing_key(chance: &mut (dyn RngCore + Send)) -> [u8; 32] {
    let mut bytes = [0; 32];
    chance.fill_bytes(&mut bytes);
    bytes
}

fn letters(chance: &mut (dyn RngCore + Send), count: usize) -> String {
    let mut bytes = vec![0; count];
    chance.fill_bytes(&mut bytes);
    bytes.iter().map(|b| char::from(LETTERS[usize::from(b % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn a_key_gets_a_version_4_uuid_and_a_subscription_id_of_plain_letters() {
        let mut chance = rand::rngs::StdRng::seed_from_u64(1);
        let (uuid, sub_id) = identity(&mut chance);
        assert_eq!(uuid.get_version_num(), 4);
        assert_eq!(sub_id.len(), SUB_ID_LETTERS);
        assert!(sub_id.bytes().all(|b| LETTERS.contains(&b)));
        assert_ne!(identity(&mut chance).0, uuid);
    }
}
