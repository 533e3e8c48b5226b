//! Whom limits count: somebody who has said who they are, from wherever they ask; or else an address. Does not know what is counted.

use std::fmt;

use super::address::ClientAddress;

/// Whom limits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientId {
    /// Whoever asks from there.
    Address(ClientAddress),
    /// Who has a name of this SHA-256.
    Named([u8; 32]),
}

impl From<ClientAddress> for ClientId {
    fn from(address: ClientAddress) -> Self {
        Self::Address(address)
    }
}

/// As keys and log lines name it: an address, or 64 hexadecimal digits.
impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Named(sha256) => sha256.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::ClientAddress;
    use super::ClientId;

    #[test]
    fn each_has_one_name() {
        assert_eq!(ClientId::from(ClientAddress::UNIX).to_string(), "unix");
        assert_eq!(ClientId::Named([0xab; 32]).to_string(), "ab".repeat(32));
    }
}
