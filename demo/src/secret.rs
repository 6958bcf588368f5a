//! Which values are to be shredded when they go.

/// What a key says when its value is not to be seen, in small letters and with nothing between words.
const WORDS: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "authorization",
    "credential",
    "sessionid",
];

/// Whether a key looks as if its value were secret: `API-Key`, `clientSecret`, `db.password`.
///
/// It is asked generously: to shred what is no secret costs little.
#[must_use]
pub fn looks_secret(key: &str) -> bool {
    let mut rest = key.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
    loop {
        let here = |word: &str| word.bytes().eq(rest.clone().take(word.len()));
        if WORDS.iter().any(|word| here(word)) {
            return true;
        }
        if rest.next().is_none() {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::looks_secret;

    #[test]
    fn keys_that_look_secret() {
        for key in ["password", "DB_PASSWORD", "x-api-key", "apiKey", "clientSecret", "Authorization", "a.private key"]
        {
            assert!(looks_secret(key), "{key}");
        }
        for key in ["", "pass", "key", "author", "name", "toke", "p", "Secre", "日本語"] {
            assert!(!looks_secret(key), "{key}");
        }
    }
}
