//! Passwords for shadow: SHA-512-crypt (`$6$`, crypt(5)) with a salt drawn from the seed.

use sha_crypt::{PasswordHasher as _, ShaCrypt};

use super::Error;
use crate::config::{self, Secret};
use crate::seed::Seed;

/// crypt(3)'s own number of rounds; written out, it means the same hash.
const DEFAULT_ROUNDS: &str = "rounds=5000$";
/// Salts have 16 characters of 6 bits.
const SALT_BYTES: usize = 12;

/// The field of shadow. What is crypted already stays as it is.
pub fn crypted(password: &Secret, user: &str, seed: &Seed) -> Result<String, Error> {
    if config::is_crypted(password.reveal()) {
        return Ok(password.reveal().to_owned());
    }
    let salt = seed.bytes(&format!("password/{user}"));
    let hash = ShaCrypt::SHA512.hash_password_with_salt(password.reveal().as_bytes(), &salt[..SALT_BYTES]);
    let hash = hash.map_err(|_| Error::Crypt { user: user.to_owned() })?;
    Ok(hash.as_str().replacen(DEFAULT_ROUNDS, "", 1))
}
