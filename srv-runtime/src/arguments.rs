//! The options of `serve`, each also an environment variable.

use crate::database::DatabaseArguments;
use std::{net::IpAddr, path::PathBuf};

/// Options of every service's `serve`, to be flattened into its own.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArguments {
    /// Directory of the mounted configuration (config.yaml, revision, acknowledgement-shards). Without it the built-in
    /// defaults hold.
    #[arg(long, value_name = "DIR", env = "SHOPKEEPER_CONFIG_DIR")]
    pub config_dir: Option<PathBuf>,
    /// The ConfigMap to watch through the Kubernetes API, so that a change arrives at once.
    #[arg(
        long,
        value_name = "NAME",
        env = "SHOPKEEPER_CONFIG_MAP",
        requires_all = ["config_dir", "pod_name", "pod_namespace"]
    )]
    pub config_map: Option<String>,
    /// This pod's name, for its acknowledgements.
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// This pod's namespace.
    #[arg(long, value_name = "NAMESPACE", env = "POD_NAMESPACE")]
    pub pod_namespace: Option<String>,
    /// Which database.
    #[command(flatten)]
    pub database: DatabaseArguments,
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", env = "SHOPKEEPER_LISTEN", default_value = "127.0.0.1")]
    pub listen: IpAddr,
    /// The port that serves gRPC; 0 chooses a free one. Overrides the configuration's `restart.grpcPort`.
    #[arg(long, value_name = "PORT", env = "SHOPKEEPER_GRPC_PORT")]
    pub grpc_port: Option<u16>,
    /// The port that serves /livez, /readyz and /metrics; 0 chooses a free one. Overrides `restart.adminPort`.
    #[arg(long, value_name = "PORT", env = "SHOPKEEPER_ADMIN_PORT")]
    pub admin_port: Option<u16>,
}

/// What holds for a process that has no configuration directory: one that a person started on a machine.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    /// The program's name, such as `inventory-srv`.
    pub process: &'static str,
    /// The gRPC port.
    pub grpc_port: u16,
    /// The admin port.
    pub admin_port: u16,
    /// The SQLite file in the current directory when no database is named, such as `inventory.db`. This one holds with
    /// a configuration directory, too.
    pub database_file: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Service {
        #[command(flatten)]
        serve: ServeArguments,
    }

    fn parsed(options: &[&str]) -> Result<ServeArguments, String> {
        let options = ["service"].iter().chain(options);
        Service::try_parse_from(options)
            .map(|service| service.serve)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn without_options_a_process_listens_on_the_loopback_only() {
        let arguments = parsed(&[]).unwrap();
        assert!(arguments.listen.is_loopback());
        assert_eq!((arguments.grpc_port, arguments.config_dir), (None, None));
    }

    #[test]
    fn a_watched_config_map_needs_to_know_its_pod() {
        let refused =
            parsed(&["--config-map", "inventory-config", "--config-dir", "/etc"]).unwrap_err();
        assert!(refused.contains("--pod-name") && refused.contains("--pod-namespace"), "{refused}");
    }

    #[test]
    fn a_database_is_named_in_one_way_only() {
        let refused =
            parsed(&["--database-url", "sqlite://a.db", "--database-url-file", "url"]).unwrap_err();
        assert!(refused.contains("cannot be used with"), "{refused}");
    }
}
