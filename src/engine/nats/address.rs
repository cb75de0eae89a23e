//! Options to servers, credentials and TLS (engines.md 11).

use async_nats::{ConnectOptions, ServerAddr};
use rustls::ClientConfig;
use tidegate_certs::{ClientTls as Trust, client_config};
use url::Url;

use crate::config::Nats;

/// Something in the options cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(String);

impl AddressError {
    pub(super) fn of(error: &dyn std::fmt::Display) -> Self {
        Self(format!("error connecting to NATS: {error}"))
    }
}

/// Where to connect, and as whom.
#[derive(Clone, Debug)]
pub struct Connecting {
    pub(super) servers: Vec<ServerAddr>,
    credentials: Credentials,
    tls: Option<ClientConfig>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Credentials {
    #[default]
    None,
    Token(String),
    Password {
        user: String,
        password: String,
    },
}

impl Connecting {
    /// Reads the options.
    ///
    /// # Errors
    /// [`AddressError`] for an address or a certificate that cannot be used.
    pub fn new(options: &Nats) -> Result<Self, AddressError> {
        let mut servers = Vec::new();
        let mut credentials = Credentials::None;
        let mut wants_tls = options.tls.enabled;
        for address in options
            .url
            .split(',')
            .map(str::trim)
            .filter(|address| !address.is_empty())
        {
            let mut url = parsed(address)?;
            wants_tls |= url.scheme() == "tls";
            let own = credentials_of(&url)?;
            if own != Credentials::None {
                if credentials != Credentials::None && credentials != own {
                    return Err(AddressError(
                        "the addresses of NATS name different credentials".to_owned(),
                    ));
                }
                credentials = own;
            }
            // Addresses are logged; neither can fail on a URL with a host.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            let server = ServerAddr::from_url(url).map_err(|error| invalid(address, &error))?;
            servers.push(server);
        }
        if servers.is_empty() {
            return Err(AddressError("no address of NATS is configured".to_owned()));
        }
        let tls = wants_tls.then(|| tls(options)).transpose()?;
        Ok(Self {
            servers,
            credentials,
            tls,
        })
    }

    pub(super) fn options(&self) -> ConnectOptions {
        let options = match self.credentials.clone() {
            Credentials::None => ConnectOptions::new(),
            Credentials::Token(token) => ConnectOptions::with_token(token),
            Credentials::Password { user, password } => {
                ConnectOptions::with_user_and_password(user, password)
            }
        };
        match &self.tls {
            None => options,
            Some(config) => options.require_tls(true).tls_client_config(config.clone()),
        }
    }
}

fn parsed(address: &str) -> Result<Url, AddressError> {
    let url = if address.contains("://") {
        Url::parse(address)
    } else {
        Url::parse(&format!("nats://{address}"))
    };
    let url = url.map_err(|error| invalid(address, &error))?;
    if !["nats", "tls"].contains(&url.scheme()) {
        return Err(invalid(address, &"the scheme must be nats or tls"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(invalid(address, &"no host"));
    }
    Ok(url)
}

/// `user:password@`, or `token@`.
fn credentials_of(url: &Url) -> Result<Credentials, AddressError> {
    let decoded = |text: &str| {
        let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
        decoded
            .map(|text| text.into_owned())
            .map_err(|_| AddressError("credentials for NATS are not UTF-8".to_owned()))
    };
    Ok(match (url.username(), url.password()) {
        ("", None) => Credentials::None,
        (token, None) => Credentials::Token(decoded(token)?),
        (user, Some(password)) => Credentials::Password {
            user: decoded(user)?,
            password: decoded(password)?,
        },
    })
}

fn tls(options: &Nats) -> Result<ClientConfig, AddressError> {
    let tls = &options.tls;
    // What a URL asks for where the options leave it off has the authorities of the system.
    let trust = if tls.enabled {
        Trust {
            server_ca_pem: &tls.server_ca_pem,
            cert_pem: &tls.cert_pem,
            key_pem: &tls.key_pem,
            insecure_skip_verify: tls.insecure_skip_verify,
            server_name: &tls.server_name,
        }
    } else {
        Trust::default()
    };
    client_config(trust).map_err(|error| AddressError(format!("error creating NATS TLS: {error}")))
}

/// Without the address where it may carry a password.
fn invalid(address: &str, error: &dyn std::fmt::Display) -> AddressError {
    let shown = address.rsplit_once('@').map_or(address, |(_, host)| host);
    AddressError(format!("invalid address of NATS {shown:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connecting(url: &str) -> Result<Connecting, AddressError> {
        Connecting::new(&Nats {
            url: url.to_owned(),
            ..Nats::default()
        })
    }

    fn servers(url: &str) -> Vec<String> {
        let connecting = connecting(url).unwrap();
        connecting
            .servers
            .iter()
            .map(|server| format!("{}:{}", server.host(), server.port()))
            .collect()
    }

    #[test]
    fn all_forms_of_addresses_are_read() {
        assert_eq!(servers("nats://localhost:4222"), ["localhost:4222"]);
        assert_eq!(
            servers("a, nats://b:1 ,tls://[::1]:2"),
            ["a:4222", "b:1", "::1:2"]
        );
        assert_eq!(connecting("a").unwrap().credentials, Credentials::None);
        assert!(connecting("a").unwrap().tls.is_none());
        assert!(connecting("a,tls://b").unwrap().tls.is_some());
        assert_eq!(
            connecting("nats://t%40k@a,b").unwrap().credentials,
            Credentials::Token("t@k".to_owned())
        );
        let password = Credentials::Password {
            user: "u".to_owned(),
            password: "p".to_owned(),
        };
        let with_password = connecting("nats://u:p@a,nats://u:p@b").unwrap();
        assert_eq!(with_password.credentials, password);
        assert!(!format!("{:?}", with_password.servers).contains("u:p"));
    }

    #[test]
    fn others_are_refused_without_their_password() {
        for url in [
            "",
            " , ",
            "http://a",
            "nats://",
            "nats://u:secret@a:x",
            "nats://u:secret@a,nats://v:secret@b",
        ] {
            let error = connecting(url).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
