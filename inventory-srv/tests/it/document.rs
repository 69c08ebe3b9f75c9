//! Every example of `docs/inventory.md` answers as it says.

use crate::shop::{Backend, Shop, reason};
use prost::Message;
use prost::bytes::{Buf, BufMut};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use proto::inventory::v1::FILE_DESCRIPTOR_SET;
use serde_json::Value;
use srv_config::LockStrategy;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

const DOCUMENT: &str = include_str!("../../../docs/inventory.md");
const SERVICE: &str = "inventory.v1.InventoryService";

/// Fewer would mean that they are not found in the document any more.
const EXAMPLES_MIN: usize = 22;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_of_the_document_answers_as_it_says() {
    let shop = Shop::open(LockStrategy::GroupCommit, Backend::Sqlite).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", shop.address())).unwrap();
    let mut caller = Caller {
        grpc: Grpc::new(endpoint.connect_lazy()),
        descriptors: DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap(),
    };
    let mut count = 0;
    let mut lines = DOCUMENT.lines();
    while let Some(line) = lines.next() {
        let Some(call) = line.strip_prefix("> ") else { continue };
        let (method, request) = call.split_once(' ').expect("a call is a method and a message");
        let promised = lines.next().and_then(|line| line.strip_prefix("< "));
        let promised = promised.expect("a call is followed by its answer");
        match caller.call(method, request).await {
            Ok(answer) => {
                let part: Value = serde_json::from_str(promised)
                    .unwrap_or_else(|_| panic!("{call} answers {answer}, not {promised}"));
                assert!(holds(&answer, &part), "{call} answers {answer}, not {promised}");
            }
            Err(status) => {
                let answer = format!("{} / {}", name(status.code()), reason(&status));
                assert_eq!(answer, promised, "{call}: {status}");
            }
        }
        count += 1;
    }
    assert!(count >= EXAMPLES_MIN, "only {count} examples were found");
    shop.close().await;
}

/// Calls by names and JSON, as tools do.
struct Caller {
    grpc: Grpc<Channel>,
    descriptors: DescriptorPool,
}

impl Caller {
    async fn call(&mut self, method: &str, json: &str) -> Result<Value, Status> {
        let service = self.descriptors.get_service_by_name(SERVICE).unwrap();
        let described = service.methods().find(|described| described.name() == method);
        let described = described.unwrap_or_else(|| panic!("there is no call {method}"));
        let mut json = serde_json::Deserializer::from_str(json);
        let request = DynamicMessage::deserialize(described.input(), &mut json).unwrap();
        let path = PathAndQuery::try_from(format!("/{SERVICE}/{method}")).unwrap();
        self.grpc.ready().await.unwrap();
        let request = Request::new(request.encode_to_vec());
        // Of a stream, its first message.
        let mut answers = self.grpc.server_streaming(request, path, AsBytes).await?.into_inner();
        let answer = answers.message().await?.expect("an answer or an error");
        let answer = DynamicMessage::decode(described.output(), &answer[..]).unwrap();
        let all_fields = SerializeOptions::new().skip_default_fields(false);
        Ok(answer.serialize_with_options(serde_json::value::Serializer, &all_fields).unwrap())
    }
}

/// Everything of `part` stands in `whole`.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| holds(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len()
                && whole.iter().zip(part).all(|(whole, part)| holds(whole, part))
        }
        _ => whole == part,
    }
}

/// The code as gRPC spells it.
fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Messages as their bytes: what they are is known only while the test runs.
struct AsBytes;

impl Codec for AsBytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsBytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for AsBytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).into()))
    }
}
