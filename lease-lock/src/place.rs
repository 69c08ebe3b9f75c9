//! Where a Redis is found, as a URL says it: one server, or the master that sentinels name.

use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionInfo, IntoConnectionInfo, RedisError};

use crate::error::OpenError;
use crate::sentinels::Sentinels;

/// When the kernel gives up a peer that acknowledges nothing. Commands do not wait for it; they have limits of their
/// own.
const DEAD_PEER_AFTER: Duration = Duration::from_secs(2);
const SENTINEL_SCHEME: &str = "redis-sentinel://";
const SENTINEL_PORT: u16 = 26379;
/// More sentinels than anybody runs for one master; each look for the master asks all of them.
const SENTINELS_MAX: usize = 16;

/// What a [`crate::link::Link`] leads to.
pub(crate) enum Place {
    Server(Client),
    Sentinels(Sentinels),
}

impl Place {
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        match url.strip_prefix(SENTINEL_SCHEME) {
            Some(rest) => sentinels(rest).map(Self::Sentinels),
            None => client(url).map(Self::Server),
        }
    }
}

/// Reads `[user:password@]host[:port],.../[db][?sentinel_user=..&sentinel_password=..]#master`.
fn sentinels(rest: &str) -> Result<Sentinels, OpenError> {
    let wrong = |what: &str| OpenError::Url(what.to_owned());
    let (rest, master) = rest.split_once('#').unwrap_or((rest, ""));
    if master.is_empty() {
        return Err(wrong("the name of the master is missing; it stands at the end, after a #"));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (rest, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = rest.rsplit_once('@').unwrap_or(("", rest));
    let hosts: Vec<&str> = hosts.split(',').collect();
    if hosts.len() > SENTINELS_MAX {
        return Err(wrong(&format!("there are more than {SENTINELS_MAX} sentinels")));
    }
    // The host is no server's; the sentinels say the right one.
    let server = connection(&format!("redis://{login}@{}/{database}", hosts[0]))?;
    let login = sentinel_login(query).ok_or_else(|| {
        wrong("after a ? stand sentinel_user=.. and sentinel_password=.. or nothing")
    })?;
    let clients = hosts.iter().map(|host| {
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let port = if has_port { String::new() } else { format!(":{SENTINEL_PORT}") };
        client(&format!("redis://{login}{host}{port}"))
    });
    Ok(Sentinels::new(clients.collect::<Result<_, _>>()?, master.to_owned(), server))
}

/// `user:password@`, or nothing when the sentinels let everybody in.
fn sentinel_login(query: &str) -> Option<String> {
    let (mut user, mut password) = ("", "");
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=')? {
            ("sentinel_user", value) => user = value,
            ("sentinel_password", value) => password = value,
            _ => return None,
        }
    }
    let has_one = !(user.is_empty() && password.is_empty());
    Some(if has_one { format!("{user}:{password}@") } else { String::new() })
}

fn client(url: &str) -> Result<Client, OpenError> {
    Client::open(connection(url)?).map_err(unreadable)
}

fn connection(url: &str) -> Result<ConnectionInfo, OpenError> {
    let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(DEAD_PEER_AFTER);
    Ok(url.into_connection_info().map_err(unreadable)?.set_tcp_settings(tcp))
}

fn unreadable(error: RedisError) -> OpenError {
    OpenError::Url(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{OpenError, Place};

    #[test]
    fn a_url_names_one_server_or_the_sentinels_of_a_master() {
        for url in ["redis://h", "redis://u:p@h:1/2"] {
            assert!(matches!(Place::parse(url), Ok(Place::Server(_))), "{url}");
        }
        for url in [
            "redis-sentinel://a#main",
            "redis-sentinel://a:1,b,c:3/0#main",
            "redis-sentinel://user:p%40ss@a:1,[::1]:2/3?sentinel_password=x#main",
        ] {
            assert!(matches!(Place::parse(url), Ok(Place::Sentinels(_))), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_and_its_password_not_told() {
        let many = format!("redis-sentinel://{}#main", vec!["h"; 17].join(","));
        for url in [
            "http://h",
            "redis-sentinel://secret@a:1,b:2",
            "redis-sentinel://secret@a:1,b:2#",
            "redis-sentinel://secret@#main",
            "redis-sentinel://secret@a,,b#main",
            "redis-sentinel://secret@a/x#main",
            "redis-sentinel://a?password=secret#main",
            &many,
        ] {
            let Err(OpenError::Url(reason)) = Place::parse(url) else { panic!("{url} is none") };
            assert!(!reason.contains("secret"), "{reason}");
        }
    }
}
