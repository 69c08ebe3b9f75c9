//! Calls that ended without any server having looked at them, which may be sent again whatever they do.
//!
//! A server may end a connection at any time, and ours do when one grows old. A gRPC library sends the calls that the
//! end of a connection caught before they were processed again by itself, whatever its retry policy
//! (<https://github.com/grpc/proposal/blob/master/A6-client-retries.md#transparent-retries>). tonic leaves that to its
//! caller, and gives such calls the codes of others that may well have been processed.

use h2::Reason;
use std::error::Error;
use tonic::{Code, Status};

/// How often one call is sent again: each time it gets another connection, so twice in a row is rare already.
const AGAIN_MAX: u32 = 3;

/// Calls, and calls again for as long as nobody has processed it.
pub async fn until_processed<A, F>(mut call: impl FnMut() -> F) -> Result<A, Status>
where
    F: Future<Output = Result<A, Status>>,
{
    for _ in 0..AGAIN_MAX {
        match call().await {
            Err(status) if was_never_processed(&status) => {}
            answer => return answer,
        }
    }
    call().await
}

/// Whether the call still waited to be sent when its connection ended (tonic says CANCELLED, as of a call that ran out
/// of time), or was sent and came after the last one that the server said it would process (tonic says INTERNAL, as of
/// a broken server). The libraries below tonic know which it was.
fn was_never_processed(status: &Status) -> bool {
    let mut reason = status.source();
    while let Some(error) = reason {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_go_away()
                && error.is_remote()
                && error.reason() == Some(Reason::NO_ERROR);
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && error.is_canceled()
        {
            return status.code() == Code::Cancelled;
        }
        reason = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::inventory::v1::{
        SellRequest, inventory_service_client::InventoryServiceClient as Client,
    };
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tonic::transport::{Channel, Endpoint};

    /// A client of a server that does with each connection what a test wants, and its server.
    async fn client(timeout: Duration) -> (Client<Channel>, TcpListener) {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", server.local_addr().unwrap());
        let endpoint = Endpoint::from_shared(address).unwrap().timeout(timeout);
        (Client::new(endpoint.connect_lazy()), server)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_call_that_ran_out_of_time_may_have_been_processed() {
        let (mut client, _silent) = client(Duration::from_millis(50)).await;
        let status = client.sell(SellRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::Cancelled, "{status:?}");
        assert!(!was_never_processed(&status), "{status:?}");
    }

    #[tokio::test]
    async fn a_call_whose_connection_ended_before_it_was_sent_was_never_processed() {
        let (mut client, server) = client(LONG).await;
        let ends = async { drop(server.accept().await.unwrap()) };
        let (answer, ()) = tokio::join!(client.sell(SellRequest::default()), ends);
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::Cancelled, "{status:?}");
        assert!(was_never_processed(&status), "{status:?}");
    }

    #[tokio::test]
    async fn a_call_after_the_last_that_the_server_processes_was_never_processed() {
        let (mut client, server) = client(LONG).await;
        let goes_away = async {
            let mut connection = server.accept().await.unwrap().0;
            first_call(&mut connection).await;
            connection.write_all(&go_away(0)).await.unwrap();
            connection
        };
        let (answer, _open) = tokio::join!(client.sell(SellRequest::default()), goes_away);
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{status:?}");
        assert!(was_never_processed(&status), "{status:?}");
    }

    #[tokio::test]
    async fn a_call_that_the_server_had_begun_when_its_connection_broke_may_have_been_processed() {
        let (mut client, server) = client(LONG).await;
        let breaks = async {
            let mut connection = server.accept().await.unwrap().0;
            let call = first_call(&mut connection).await;
            connection.write_all(&go_away(call)).await.unwrap();
        };
        let (answer, ()) = tokio::join!(client.sell(SellRequest::default()), breaks);
        let status = answer.unwrap_err();
        assert!(!was_never_processed(&status), "{status:?}");
    }

    #[tokio::test]
    async fn a_call_that_nobody_processes_is_given_up_after_three_more() {
        let (client, server) = client(LONG).await;
        let mut sent = 0;
        let ends = async {
            loop {
                drop(server.accept().await.unwrap());
            }
        };
        let calls = until_processed(|| {
            sent += 1;
            let mut client = client.clone();
            async move { client.sell(SellRequest::default()).await }
        });
        let answer = tokio::select! {
            answer = calls => answer,
            () = ends => unreachable!("it ends connections for ever"),
        };
        let status = answer.unwrap_err();
        assert!(was_never_processed(&status), "{status:?}");
        assert_eq!(sent, 4);
    }

    const PREFACE_BYTES: usize = 24;
    const FRAME_HEAD_BYTES: usize = 9;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const GO_AWAY: u8 = 7;

    /// Answers the client's preface, reads up to its first call, and gives its number.
    async fn first_call(connection: &mut TcpStream) -> u32 {
        connection.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await.unwrap();
        connection.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
        loop {
            let mut head = [0; FRAME_HEAD_BYTES];
            connection.read_exact(&mut head).await.unwrap();
            let [a, b, c, kind, _flags, stream @ ..] = head;
            let length = u32::from_be_bytes([0, a, b, c]);
            connection.read_exact(&mut vec![0; length as usize]).await.unwrap();
            if kind == HEADERS {
                return u32::from_be_bytes(stream);
            }
        }
    }

    /// The frame that says that calls up to `last` are processed, and no later one (RFC 9113, 6.8).
    fn go_away(last: u32) -> Vec<u8> {
        let no_error = 0_u32;
        let head = [0, 0, 8, GO_AWAY, 0, 0, 0, 0, 0];
        [&head[..], &last.to_be_bytes(), &no_error.to_be_bytes()].concat()
    }
}
