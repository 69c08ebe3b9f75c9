//! Reading a process's `/metrics` in the text format of Prometheus.

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The text of `/metrics` at `address`.
pub async fn read(address: &str) -> Result<String> {
    let mut connection = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.context("/metrics is no text")?;
    Ok(answer)
}

/// The sum of all series of `name` whose labels hold `label`.
pub fn sum(metrics: &str, name: &str, label: &str) -> u64 {
    let series = metrics.lines().filter(|line| line.starts_with(name) && line.contains(label));
    series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>() as u64
}
