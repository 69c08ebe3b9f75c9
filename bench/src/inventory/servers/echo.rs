//! The ceiling of anything over gRPC on this machine: the same messages, and nothing behind them.

use super::listen;
use crate::sell_server::{Answer, SellServer};
use anyhow::{Context, Result};
use prost_types::Timestamp;
use proto::inventory::v1::{Order, OrderLine, OrderState, SellRequest, SellResponse};
use tonic::{Code, Status};

/// A time of this century: as long on the wire as the real one.
const TIME: Timestamp = Timestamp { seconds: 1_767_225_600, nanos: 123_000_000 };

/// What the bare server answers.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Refuse each call with this status: code, message, and details as hexadecimal digits.
    #[arg(long, num_args = 3, value_names = ["CODE", "MESSAGE", "DETAILS"])]
    refuse: Option<Vec<String>>,
}

/// The options that make the bare server refuse as `status` does.
pub(crate) fn refusing(status: &Status) -> Vec<String> {
    let details = status.details().iter().map(|byte| format!("{byte:02x}")).collect();
    let code = i32::from(status.code()).to_string();
    vec!["--refuse".to_owned(), code, status.message().to_owned(), details]
}

pub(super) async fn serve(arguments: Arguments) -> Result<()> {
    let listener = listen().await?;
    match arguments.refuse.as_deref() {
        Some([code, message, details]) => {
            let code = Code::from(code.parse::<i32>().context("CODE")?);
            let details = bytes_of(details).context("DETAILS are hexadecimal digits")?;
            let status = Status::with_details(code, message, details.into());
            SellServer(Refuses(status)).serve(listener).await
        }
        _ => SellServer(Sells).serve(listener).await,
    }
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

#[derive(Clone)]
struct Sells;

impl Answer for Sells {
    async fn answer(&self, request: SellRequest) -> Result<SellResponse, Status> {
        let line = |line: proto::inventory::v1::Line| OrderLine {
            goods_id: line.goods_id,
            quantity: line.quantity,
            returned: 0,
        };
        let order = Order {
            order_sn: request.order_sn,
            state: OrderState::Confirmed.into(),
            lines: request.lines.into_iter().map(line).collect(),
            create_time: Some(TIME),
            update_time: Some(TIME),
            ..Default::default()
        };
        Ok(SellResponse { order: Some(order), replayed: false })
    }
}

#[derive(Clone)]
struct Refuses(Status);

impl Answer for Refuses {
    async fn answer(&self, _: SellRequest) -> Result<SellResponse, Status> {
        Err(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_passes_through_the_options_unchanged() {
        let status =
            Status::with_details(Code::FailedPrecondition, "sold out", vec![0, 9, 255].into());
        let options = refusing(&status);
        assert_eq!(options, ["--refuse", "9", "sold out", "0009ff"]);
        assert_eq!(bytes_of(&options[3]).unwrap(), status.details());
        assert_eq!(bytes_of("0x"), None);
        assert_eq!(bytes_of("012"), None);
    }
}
