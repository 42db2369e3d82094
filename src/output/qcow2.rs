//! The disk as qcow2: clusters are compressed by all threads and appended by one at a time, in order.

use std::fs::File;

use super::chunk::{CHUNK, Chunk};
use super::order::InOrder;
use super::{OutputError, Sink, Worker};
use crate::qcow2::{CLUSTER, Cluster, Compression, Encoder, Writer};

type Clusters = Vec<(u64, Cluster)>;

pub struct Qcow2 {
    order: InOrder<Clusters, Writer<File>>,
    compression: Compression,
}

impl Qcow2 {
    pub fn new(file: File, bytes: u64, compression: Compression) -> Result<Qcow2, OutputError> {
        Ok(Qcow2 { order: InOrder::new(Writer::new(file, bytes, compression)?), compression })
    }
}

impl Sink for Qcow2 {
    fn worker(&self) -> Result<Box<dyn Worker + '_>, OutputError> {
        Ok(Box::new(Qcow2Worker { sink: self, encoder: Encoder::new(self.compression)? }))
    }

    fn finish(&self) -> Result<(), OutputError> {
        if let Some(writer) = self.order.take() {
            writer.finish()?;
        }
        Ok(())
    }

    fn abort(&self) {
        self.order.fail();
    }
}

struct Qcow2Worker<'a> {
    sink: &'a Qcow2,
    encoder: Encoder,
}

impl Worker for Qcow2Worker<'_> {
    fn chunk(&mut self, chunk: &Chunk) -> Result<(), OutputError> {
        let clusters = self.encode(chunk)?;
        self.sink.order.push(chunk.index, clusters, |writer, clusters| {
            clusters
                .into_iter()
                .try_for_each(|(guest, cluster)| writer.append(guest, cluster))
                .map_err(OutputError::from)
        })
    }
}

impl Qcow2Worker<'_> {
    fn encode(&mut self, chunk: &Chunk) -> Result<Clusters, OutputError> {
        let first = chunk.at / CHUNK * (CHUNK / CLUSTER as u64); // 65536
        let mut clusters = Vec::new();
        for (guest, bytes) in (first..).zip(chunk.bytes.chunks(CLUSTER)) {
            match self.encoder.encode(bytes)? {
                Cluster::Zero => {}
                cluster => clusters.push((guest, cluster)),
            }
        }
        Ok(clusters)
    }
}
