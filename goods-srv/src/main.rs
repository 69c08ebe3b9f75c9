//! The process: options, database, schema, service.

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use goods_srv::{Catalog, grpc, store};
use proto::goods::v1::FILE_DESCRIPTOR_SET;
use srv_config::GoodsConfig;
use srv_runtime::{Database, DatabaseArguments, Local, Process, ServeArguments, termination};
use std::process::ExitCode;

/// What holds for a process that a person started on a machine.
const LOCAL: Local =
    Local { process: "goods-srv", grpc_port: 50051, admin_port: 9091, database_file: "goods.db" };

/// Migrating is one statement after the other.
const MIGRATE_CONNECTIONS: u32 = 1;

/// The catalog service. Without options it serves on the loopback and keeps its catalog in ./goods.db.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArguments,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM. What happens when no subcommand is given.
    Serve(ServeArguments),
    /// Bring the database's schema up to date and end.
    Migrate(DatabaseArguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { command, serve: unnamed } = Arguments::parse();
    termination::conclude(match command {
        Some(Command::Migrate(database)) => migrate(database).await,
        Some(Command::Serve(arguments)) => serve(arguments).await,
        None => serve(unnamed).await,
    })
}

async fn serve(arguments: ServeArguments) -> anyhow::Result<()> {
    let process = Process::<GoodsConfig>::start(arguments, LOCAL).await?;
    let database = process.database().await?;
    bring_up_to_date(&database).await?;
    let catalog = Catalog::new(store::Store::new(database), process.settings());
    process.serve(grpc::routes(&catalog), &grpc::SERVICES, &[FILE_DESCRIPTOR_SET]).await?;
    Ok(())
}

/// A SQLite file is this process's own, so it migrates it; a server's schema has other readers, so that is a step of
/// its own.
async fn bring_up_to_date(database: &Database) -> anyhow::Result<()> {
    match database {
        Database::Sqlite(_) => {
            store::migrate(database).await.context("cannot migrate the SQLite file")
        }
        Database::MySql(_) => {
            let missing = store::missing_versions(database)
                .await
                .context("cannot read the schema's version")?;
            if missing > 0 {
                bail!(
                    "the database's schema lacks {missing} migrations: run `goods-srv migrate` first"
                );
            }
            Ok(())
        }
    }
}

async fn migrate(database: DatabaseArguments) -> anyhow::Result<()> {
    let database = database.connect(LOCAL.database_file, MIGRATE_CONNECTIONS).await?;
    store::migrate(&database).await.context("cannot migrate the database")?;
    database.close().await;
    Ok(())
}
