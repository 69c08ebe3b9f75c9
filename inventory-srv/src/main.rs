//! The process: from arguments to a served stock.

use anyhow::Context;
use clap::{Parser, Subcommand};
use futures::FutureExt;
use inventory_srv::sell::redis_lock::{Locks, RedisUrl};
use inventory_srv::{Inventory, copy, grpc, store};
use proto::inventory::v1::FILE_DESCRIPTOR_SET;
use srv_config::{InventoryConfig, InventoryHot, LockStrategy, Rejection};
use srv_runtime::{
    Database, DatabaseArguments, DatabaseKind, Local, Process, ServeArguments, termination,
};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tonic::service::Routes;

/// An order costs the process a fifth less time with it than with glibc's, and what it holds grows less over time.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What holds for a process that has no configuration directory.
const LOCAL: Local = Local {
    process: "inventory-srv",
    grpc_port: 50052,
    admin_port: 9092,
    database_file: "inventory.db",
};

/// How many connections a copy has to each database: it does one thing after the other.
const COPY_CONNECTIONS: u32 = 2;

/// How often a copy says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// The stock service: keeps count of what is in stock and deducts it for orders.
///
/// Without any option it serves on the loopback and keeps the stock in inventory.db in the current directory.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Serve gRPC until SIGTERM (what happens without a subcommand, too).
    Serve(Serve),
    /// Bring the database's schema up to date and exit.
    Migrate(DatabaseArguments),
    /// Copy a whole database into an empty one of any kind, check it there, and exit.
    ///
    /// Stop everything that works on either database first. A copy that was broken off goes on when it is started
    /// again; nothing is ever overwritten.
    Copy(CopyArguments),
}

#[derive(clap::Args)]
struct CopyArguments {
    /// The database to copy: <mysql://user:password@host:port/name> or <sqlite://path/to/file>.
    #[arg(long, value_name = "URL", env = "SHOPKEEPER_COPY_FROM", hide_env_values = true)]
    from: String,
    /// The database to fill, likewise. Its schema is brought up to date.
    #[arg(long, value_name = "URL", env = "SHOPKEEPER_COPY_TO", hide_env_values = true)]
    to: String,
    /// Copy even to a MySQL or TiDB server that may forget an acknowledged order when its power fails.
    #[arg(long, env = "SHOPKEEPER_ALLOW_WEAK_DURABILITY")]
    allow_weak_durability: bool,
}

#[derive(clap::Args)]
struct Serve {
    #[command(flatten)]
    process: ServeArguments,
    /// Redis, for lockStrategy redisLock: <redis://user:password@host:6379>.
    #[arg(
        long,
        value_name = "URL",
        env = "SHOPKEEPER_REDIS_URL",
        conflicts_with = "redis_url_file"
    )]
    redis_url: Option<String>,
    /// A file that holds the URL of Redis. It is watched: a new URL is taken over without a restart.
    #[arg(long, value_name = "FILE", env = "SHOPKEEPER_REDIS_URL_FILE")]
    redis_url_file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    termination::conclude(match arguments.command {
        Some(Command::Migrate(database)) => migrate(&database).await,
        Some(Command::Copy(databases)) => copy(databases).await,
        Some(Command::Serve(options)) => serve(options).await,
        None => serve(arguments.serve).await,
    })
}

async fn migrate(arguments: &DatabaseArguments) -> anyhow::Result<()> {
    let database = arguments.connect(LOCAL.database_file, 1).await?;
    store::migrate(&database).await?;
    database.close().await;
    Ok(())
}

async fn copy(databases: CopyArguments) -> anyhow::Result<()> {
    let connect = async |url: String, allow_weak_durability| {
        let arguments = DatabaseArguments {
            database_url: Some(url),
            database_url_file: None,
            allow_weak_durability,
        };
        arguments.connect(LOCAL.database_file, COPY_CONNECTIONS).await
    };
    // What the source forgets from now on is forgotten there only.
    let from = connect(databases.from, true).await.context("--from")?;
    if store::missing_versions(&from).await? > 0 {
        anyhow::bail!(
            "--from is not the database of a stock service, or its schema is behind this program: \
             run `inventory-srv migrate` on it first"
        );
    }
    let to = connect(databases.to, databases.allow_weak_durability).await.context("--to")?;
    store::migrate(&to).await?;
    let (source, target) = (store::Store::new(from.clone()), store::Store::new(to.clone()));
    let copied = copy::copy(&source, &target, &mut progress()).await?;
    println!(
        "copied {} rows and found {}; all {} goods agree with their ledger",
        copied.rows, copied.found, copied.goods
    );
    from.close().await;
    to.close().await;
    Ok(())
}

/// Prints how far a copy is, once a second and at the end of each table.
fn progress() -> impl FnMut(copy::Progress) + Send {
    let mut printed = Instant::now();
    move |copy::Progress { table, rows, of }| {
        if rows >= of || printed.elapsed() >= PROGRESS_EVERY {
            printed = Instant::now();
            println!("{table}: {rows} of {of} rows");
        }
    }
}

async fn serve(options: Serve) -> anyhow::Result<()> {
    let locks = Locks::new(match (options.redis_url_file, options.redis_url) {
        (Some(file), _) => RedisUrl::File(file),
        (None, Some(url)) => RedisUrl::Given(url),
        (None, None) => RedisUrl::None,
    });
    let process = Process::<InventoryConfig>::start(options.process, LOCAL).await?;
    let database = process.database().await?;
    with_schema(&database).await?;
    let checked = locks.clone();
    process.check_changes(move |hot| check(checked.clone(), hot).boxed());
    let following = tokio::spawn(locks.clone().follow());
    let inventory = Inventory::new(store::Store::new(database), locks, process.settings());
    let sweeping = tokio::spawn(inventory.clone().sweep());
    let purging = tokio::spawn(inventory.clone().purge());
    let routes = Routes::new(grpc::service(inventory));
    // With the details of errors, so that tools can show them.
    let descriptors = [FILE_DESCRIPTOR_SET, tonic_types::pb::FILE_DESCRIPTOR_SET];
    process.serve(routes, &["inventory.v1.InventoryService"], &descriptors).await?;
    following.abort();
    sweeping.abort();
    purging.abort();
    Ok(())
}

/// SQLite has nobody else who would migrate it; a server's schema is changed by `migrate`, once, before pods start.
async fn with_schema(database: &Database) -> anyhow::Result<()> {
    if database.kind() == DatabaseKind::Sqlite {
        return Ok(store::migrate(database).await?);
    }
    match store::missing_versions(database).await? {
        0 => Ok(()),
        missing => anyhow::bail!(
            "the database's schema is {missing} version(s) behind this program: run `inventory-srv migrate` with the \
             same database options first (in a pod, the init container `migrate` does)"
        ),
    }
}

/// A strategy that cannot work here is refused before it is in force, and the last good one stays.
async fn check(locks: Locks, hot: InventoryHot) -> Result<(), Rejection> {
    match hot.lock_strategy {
        LockStrategy::GroupCommit
        | LockStrategy::RowLock
        | LockStrategy::Optimistic
        | LockStrategy::Conditional => Ok(()),
        LockStrategy::RedisLock => locks.check().await.map_err(|error| Rejection {
            field: "lockStrategy".to_owned(),
            reason: format!("{:#}", anyhow::Error::new(error)),
        }),
    }
}
