//! Messages as Protocol Buffers, with little room for each: ours are small.

use prost::Message;
use std::marker::PhantomData;
use tonic::codec::BufferSettings;
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// The room that a message gets at first, in bytes; a longer one lets it grow. Tonic's own is 8 KB, once for the
/// request and once for the answer of each call: when a batch of some thousand is answered at once, that is most of
/// what a replica holds, and more than an allocator hands out without looking for it.
const ROOM: usize = 512;

/// How much of a stream is encoded before it is handed on, in bytes: as much as tonic does.
const STREAM_ROOM: usize = 32 * 1024;

/// Reads and writes the messages of a call.
#[derive(Clone, Debug)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(ROOM, STREAM_ROOM))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::new(ROOM, STREAM_ROOM))
    }
}
