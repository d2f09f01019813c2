//! TLS of the rows that have it: the configuration of both servers, and a client that costs little.
//!
//! It knows neither rows nor loads: [`client`] makes one connection at a time.

pub(crate) mod client;
pub(crate) mod server;

/// Host name in the certificate.
const NAME: &str = "localhost";
