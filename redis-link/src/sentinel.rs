//! Finding the master that sentinels name (Redis Sentinel client guidelines).

mod announcements;

use std::fmt;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::Rng;
use rand::seq::IteratorRandom;
use redis::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::dial::{Login, Wire};
use crate::error::LinkError;
use crate::options::{Endpoint, Options, Sentinels};
use crate::values::{fields, integer, items, text};

/// How often the sentinels are asked whether the master is still the one, roughly.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How long the last sentinels are waited for when most have answered.
const GRACE: Duration = Duration::from_millis(100);

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

    /// A connection to the master. Right after a failover the sentinels may still name the old one, which then says
    /// that it is none; or it hung, was replaced meanwhile, and says when it comes back that it is.
    pub(crate) async fn dial(&self) -> Result<(Wire, Endpoint), LinkError> {
        let master = self.master().await?;
        let mut wire = self.login.dial(&master).await?;
        let role = self.role(&mut wire).await?.into_iter().next();
        let is_master = role.map(text).transpose()?.as_deref() == Some("master");
        if !is_master || self.master().await? != master {
            return Err(LinkError::Disconnected(format!("{master} is not the master now")));
        }
        Ok((wire, master))
    }

    /// Whom the sentinels name.
    async fn master(&self) -> Result<Endpoint, LinkError> {
        let named = Named::last_failover(self.ask_all().await?).into_iter().next();
        let nobody = || LinkError::Disconnected("no sentinel is configured".to_owned());
        Ok(named.ok_or_else(nobody)?.master)
    }

    /// Asks again when something is announced and every few seconds, and ends when another master is named: the old
    /// one may go on as if nothing had happened, for a while or, cut off from its sentinels, for good.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub(crate) async fn replaced(&self, current: &Endpoint) -> LinkError {
        let news = Notify::new();
        let listening = |sentinel| announcements::listen(&self.asking, sentinel, &news);
        let mut listening: FuturesUnordered<_> = self.sentinels.endpoints.iter().map(listening).collect();
        tokio::select! {
            error = self.ask_again(current, &news) => error,
            Some(never) = listening.next() => match never {},
        }
    }

    async fn ask_again(&self, current: &Endpoint, news: &Notify) -> LinkError {
        loop {
            tokio::select! {
                () = news.notified() => {}
                () = pause() => {}
            }
            // Without sentinels nobody knows better.
            let Ok(named) = self.ask_all().await else {
                continue;
            };
            let last = Named::last_failover(named);
            if let Some(other) = last.first()
                && !last.iter().any(|named| named.master == *current)
            {
                return LinkError::Disconnected(format!(
                    "the sentinels name {} as the master now",
                    other.master
                ));
            }
        }
    }

    /// A connection to a replica that is well, one of them at random.
    pub(crate) async fn dial_replica(&self) -> Result<(Wire, Endpoint), LinkError> {
        let replicas = self.replicas().await?;
        let chosen = replicas.into_iter().choose(&mut rand::rng());
        let replica = chosen.ok_or_else(|| {
            LinkError::Disconnected("the sentinels know no replica that is well".to_owned())
        })?;
        Ok((self.dial_following(&replica).await?, replica))
    }

    /// A connection to a replica that says itself that it follows a master.
    async fn dial_following(&self, replica: &Endpoint) -> Result<Wire, LinkError> {
        let mut wire = self.login.dial(replica).await?;
        let mut role = self.role(&mut wire).await?.into_iter();
        let (role, state) = (role.next().map(text), role.nth(2).map(text));
        if role != Some(Ok("slave".to_owned())) || state != Some(Ok("connected".to_owned())) {
            return Err(LinkError::Disconnected(format!("{replica} follows no master")));
        }
        Ok(wire)
    }

    async fn role(&self, wire: &mut Wire) -> Result<Vec<Value>, LinkError> {
        let question = redis::cmd("ROLE");
        let asking = wire.ask(&question);
        let role = tokio::time::timeout(self.login.connect_timeout, asking).await;
        items(role.unwrap_or(Err(LinkError::Timeout))?)
    }

    /// Asks again and again, and ends when a replica is not among those that are well, or says so itself: sentinels
    /// know some seconds later.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub(crate) async fn dismissed(&self, current: &Endpoint) -> LinkError {
        loop {
            pause().await;
            if let Err(error) = self.dial_following(current).await {
                return error;
            }
            if let Ok(replicas) = self.replicas().await
                && !replicas.contains(current)
            {
                return LinkError::Disconnected(format!("{current} is no replica that is well"));
            }
        }
    }

    /// Replicas that are well, as the first sentinel says that says anything.
    async fn replicas(&self) -> Result<Vec<Endpoint>, LinkError> {
        let mut last = LinkError::Disconnected("no sentinel is configured".to_owned());
        for sentinel in &self.sentinels.endpoints {
            let asking = async {
                let mut wire = self.asking.dial(sentinel).await?;
                items(wire.ask(&self.question("REPLICAS")).await?)
            };
            let answer = tokio::time::timeout(2 * self.asking.connect_timeout, asking).await;
            match answer.unwrap_or(Err(LinkError::Timeout)) {
                Ok(replicas) => return Ok(replicas.into_iter().filter_map(well).collect()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// What the sentinels say; an error if none of them says anything.
    async fn ask_all(&self) -> Result<Vec<Named>, LinkError> {
        let endpoints = &self.sentinels.endpoints;
        let mut asked: FuturesUnordered<_> = endpoints.iter().map(|sentinel| self.ask(sentinel)).collect();
        let mut named: Vec<Named> = Vec::new();
        let mut failure = None;
        let mut deadline = None;
        loop {
            let next = match deadline {
                None => asked.next().await,
                Some(deadline) => tokio::time::timeout_at(deadline, asked.next())
                    .await
                    .unwrap_or(None),
            };
            match next {
                None => break,
                Some(Ok(one)) => named.push(one),
                Some(Err(error)) => failure = Some(error),
            }
            if named.len() > endpoints.len() / 2 {
                deadline.get_or_insert_with(|| Instant::now() + GRACE);
            }
        }
        match failure {
            Some(failure) if named.is_empty() => Err(failure),
            _ => Ok(named),
        }
    }

    async fn ask(&self, sentinel: &Endpoint) -> Result<Named, LinkError> {
        let asking = async {
            let mut wire = self.asking.dial(sentinel).await?;
            let question = self.question("GET-MASTER-ADDR-BY-NAME");
            let Value::Array(answer) = wire.ask(&question).await? else {
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
            let host = text(host)?;
            // What stands in for a sentinel may not know this one.
            let about = wire.ask(&self.question("MASTER")).await;
            Ok(Named {
                master: Endpoint::Tcp { host, port },
                epoch: about.and_then(epoch).unwrap_or_default(),
            })
        };
        tokio::time::timeout(2 * self.asking.connect_timeout, asking)
            .await
            .unwrap_or(Err(LinkError::Timeout))
    }

    fn question(&self, name: &str) -> redis::Cmd {
        let mut question = redis::cmd("SENTINEL");
        question.arg(name).arg(&self.sentinels.master);
        question
    }
}

/// What a sentinel says.
#[derive(Debug)]
struct Named {
    master: Endpoint,
    /// Of the failover that made it the master.
    epoch: i64,
}

impl Named {
    /// Those of the greatest epoch, and first of them what most say. A sentinel that is cut off from the others goes
    /// on to tell what it knew; but each failover has a greater epoch.
    fn last_failover(mut named: Vec<Self>) -> Vec<Self> {
        let epoch = named.iter().map(|named| named.epoch).max();
        named.retain(|named| Some(named.epoch) == epoch);
        let masters: Vec<_> = named.iter().map(|named| named.master.clone()).collect();
        let votes = |named: &Self| masters.iter().filter(|master| **master == named.master).count();
        named.sort_by_cached_key(|named| std::cmp::Reverse(votes(named)));
        named
    }
}

fn pause() -> tokio::time::Sleep {
    tokio::time::sleep(ASK_AGAIN.mul_f64(rand::rng().random_range(0.8..=1.2)))
}

/// Reads `SENTINEL MASTER`.
fn epoch(answer: Value) -> Result<i64, LinkError> {
    let epoch = fields(answer)?.remove("config-epoch");
    integer(epoch.ok_or_else(|| LinkError::Unexpected("a master without epoch".to_owned()))?)
}

/// Reads an item of `SENTINEL REPLICAS`: the address of a replica that follows its master.
fn well(replica: Value) -> Option<Endpoint> {
    let mut fields = fields(replica).ok()?;
    let mut field = |name| fields.remove(name).and_then(|value| text(value).ok());
    // Others are `s_down`, `disconnected` and what newer versions add.
    if field("flags")? != "slave" || field("master-link-status")? != "ok" {
        return None;
    }
    Some(Endpoint::Tcp {
        host: field("ip")?,
        port: field("port")?.parse().ok()?,
    })
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "master {:?} by sentinels", self.sentinels.master)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_failover_counts_before_the_majority() {
        let named = |port, epoch| Named {
            master: Endpoint::Tcp {
                host: "127.0.0.1".to_owned(),
                port,
            },
            epoch,
        };
        let best = |named| {
            let named = Named::last_failover(named).into_iter().next();
            named.map(|best| best.master.to_string())
        };
        assert_eq!(best(Vec::new()), None);
        let cut_off = vec![named(1, 3), named(1, 3), named(2, 4)];
        assert_eq!(best(cut_off).as_deref(), Some("127.0.0.1:2"));
        let unknown = vec![named(1, 0), named(2, 0), named(2, 0)];
        assert_eq!(best(unknown).as_deref(), Some("127.0.0.1:2"));
    }

    #[test]
    fn an_epoch_is_read_from_lists_and_maps() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let list = vec![text("name"), text("main"), text("config-epoch"), text("7")];
        assert_eq!(epoch(Value::Array(list)).unwrap(), 7);
        let map = Value::Map(vec![(text("config-epoch"), text("8"))]);
        assert_eq!(epoch(map).unwrap(), 8);
        assert!(epoch(Value::Array(vec![text("config-epoch")])).is_err());
        assert!(epoch(Value::Nil).is_err());
    }

    #[test]
    fn only_replicas_that_follow_are_read() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let replica = |flags: &str, link: &str, port: &str| {
            let fields = [
                ("ip", "::1"),
                ("port", port),
                ("flags", flags),
                ("master-link-status", link),
            ];
            Value::Map(fields.map(|(name, value)| (text(name), text(value))).into())
        };
        let address = well(replica("slave", "ok", "7")).unwrap();
        assert_eq!(address.to_string(), "[::1]:7");
        for (flags, link, port) in [
            ("slave,s_down", "ok", "7"),
            ("slave", "err", "7"),
            ("slave", "ok", "x"),
        ] {
            assert_eq!(well(replica(flags, link, port)), None);
        }
        assert_eq!(well(Value::Nil), None);
    }
}
