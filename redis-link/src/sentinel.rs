//! Finding the master that sentinels name (Redis Sentinel client guidelines).

use std::fmt;

use redis::Value;

use crate::dial::{Login, Wire};
use crate::error::LinkError;
use crate::options::{Endpoint, Options, Sentinels};
use crate::values::{integer, items, text};

/// A master behind sentinels.
#[derive(Debug)]
pub(crate) struct Watched {
    sentinels: Sentinels,
    /// To the sentinels.
    asking: Login,
    /// To the master.
    login: Login,
}

impl Watched {
    pub(crate) fn new(sentinels: &Sentinels, options: &Options) -> Self {
        let login = Login::of(options);
        let asking = Login {
            credentials: sentinels.credentials.clone(),
            db: 0,
            client_name: sentinels.client_name.clone(),
            tls: sentinels.tls.clone(),
            ..login.clone()
        };
        Self {
            sentinels: sentinels.clone(),
            asking,
            login,
        }
    }

    /// Asks one sentinel after the other until a server that one of them names says that it is a master: right after
    /// a failover they may still name the old one.
    pub(crate) async fn dial(&self) -> Result<(Wire, Endpoint), LinkError> {
        let mut last = LinkError::Disconnected("no sentinel is configured".to_owned());
        for sentinel in &self.sentinels.endpoints {
            match self.dial_by(sentinel).await {
                Ok(found) => return Ok(found),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn dial_by(&self, sentinel: &Endpoint) -> Result<(Wire, Endpoint), LinkError> {
        let master = self.master_by(sentinel).await?;
        let mut wire = self.login.dial(&master).await?;
        let question = redis::cmd("ROLE");
        let asking = wire.ask(&question);
        let role = tokio::time::timeout(self.login.connect_timeout, asking)
            .await
            .unwrap_or(Err(LinkError::Timeout))?;
        let role = items(role)?.into_iter().next().map(text).transpose()?;
        if role.as_deref() != Some("master") {
            return Err(LinkError::Disconnected(format!("{master} is not the master yet")));
        }
        Ok((wire, master))
    }

    async fn master_by(&self, sentinel: &Endpoint) -> Result<Endpoint, LinkError> {
        let mut wire = self.asking.dial(sentinel).await?;
        let mut question = redis::cmd("SENTINEL");
        question
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.sentinels.master);
        let asking = wire.ask(&question);
        let answer = tokio::time::timeout(self.asking.connect_timeout, asking)
            .await
            .unwrap_or(Err(LinkError::Timeout))?;
        let Value::Array(answer) = answer else {
            let master = &self.sentinels.master;
            return Err(LinkError::Refused(format!(
                "sentinel {sentinel} knows no master {master:?}"
            )));
        };
        let mut answer = answer.into_iter();
        let (Some(host), Some(port)) = (answer.next(), answer.next()) else {
            return Err(LinkError::Unexpected(
                "an address without host or port".to_owned(),
            ));
        };
        let port = u16::try_from(integer(port)?)
            .map_err(|_| LinkError::Unexpected("a port that is none".to_owned()))?;
        Ok(Endpoint::Tcp {
            host: text(host)?,
            port,
        })
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "master {:?} by sentinels", self.sentinels.master)
    }
}
