//! How to reach one database server: `target-database` of a task, `from` of a source.

use super::{Secret, filled, not_yet};
use crate::error::{Code, Error};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// Address and account of one database server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Account name.
    pub user: String,
    /// Its password, empty for none.
    pub password: Secret,
}

impl fmt::Display for Endpoint {
    /// `user@host:port`, for messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.port)
    }
}

/// The block as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct DatabaseYaml {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    max_allowed_packet: Option<i64>,
    session: Option<BTreeMap<String, Option<String>>>,
    security: Option<SecurityYaml>,
}

/// TLS material as written; dmctl of DM fills the byte lists in.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct SecurityYaml {
    ssl_ca: Option<Secret>,
    ssl_cert: Option<Secret>,
    ssl_key: Option<Secret>,
    ssl_ca_bytes: Option<Vec<u8>>,
    ssl_cert_bytes: Option<Vec<u8>>,
    ssl_key_bytes: Option<Vec<u8>>,
    ssl_ca_base64: Option<Secret>,
    ssl_cert_base64: Option<Secret>,
    ssl_key_base64: Option<Secret>,
    cert_allowed_cn: Option<Vec<String>>,
}

impl SecurityYaml {
    /// DM's dmctl sends every key with an empty value; that asks for nothing.
    fn asks_for_tls(&self) -> bool {
        let texts = [&self.ssl_ca, &self.ssl_cert, &self.ssl_key];
        let coded = [&self.ssl_ca_base64, &self.ssl_cert_base64, &self.ssl_key_base64];
        let bytes = [&self.ssl_ca_bytes, &self.ssl_cert_bytes, &self.ssl_key_bytes];
        texts.into_iter().chain(coded).flatten().any(|t| !t.is_empty())
            || bytes.into_iter().flatten().any(|b| !b.is_empty())
            || self.cert_allowed_cn.as_ref().is_some_and(|names| !names.is_empty())
    }
}

impl DatabaseYaml {
    /// Endpoint and session variables (names in lower case) as meant.
    pub(crate) fn validate(
        self,
        block: &str,
        warnings: &mut Vec<String>,
    ) -> Result<(Endpoint, BTreeMap<String, String>), Error> {
        let missing = |key: &str| Code::ConfigYaml.error(format!("{block}: `{key}` is missing"));
        let host = filled(self.host).ok_or_else(|| missing("host"))?;
        let port = self.port.filter(|p| *p != 0).ok_or_else(|| missing("port"))?;
        let user = filled(self.user).ok_or_else(|| missing("user"))?;
        let password = self.password.unwrap_or_default();
        if password.looks_encrypted() {
            warnings.push(format!(
                "{block}: the password has the form that DM's `encrypt` gives; it is used as it is written, because \
                 this version does not decrypt"
            ));
        }
        if self.max_allowed_packet.is_some_and(|n| n != 0) {
            warnings.push(format!("{block}: `max-allowed-packet` is deprecated and has no effect"));
        }
        if self.security.is_some_and(|s| s.asks_for_tls()) {
            return Err(not_yet(format!("{block}: TLS (`security`)")));
        }
        let session = self.session.unwrap_or_default().into_iter();
        let session = session.map(|(k, v)| (k.to_ascii_lowercase(), v.unwrap_or_default())).collect();
        Ok((Endpoint { host, port, user, password }, session))
    }
}
