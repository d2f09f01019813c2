#![doc = include_str!("../README.md")]

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Error};
use impresario::BoxError;
use impresario::server::{Certificate, Tls, Transport};

/// The command line option `--tls`, shared by the examples.
#[derive(Args, Debug)]
pub struct Encryption {
    /// Encrypt with TLS: PEM files of the certificate and of its key. Without files, a self-signed certificate is made.
    #[arg(long, num_args = 0..=2, value_names = ["CERT", "KEY"])]
    tls: Option<Vec<PathBuf>>,
}

impl Encryption {
    /// The transport with or without TLS. Files that cannot be used are an invalid option: the program prints the error
    /// and exits with code 2.
    pub fn transport(&self) -> Transport {
        self.encrypt(Transport::new()).unwrap_or_else(|error| {
            Error::raw(ErrorKind::ValueValidation, format!("--tls: {error}\n")).exit()
        })
    }

    fn encrypt(&self, transport: Transport) -> Result<Transport, BoxError> {
        let certificate = match self.tls.as_deref() {
            None => return Ok(transport),
            Some([]) => self_signed()?,
            Some([chain, key]) => Certificate::from_files(chain, key)?,
            Some(_) => return Err("give both a certificate and its key, or neither".into()),
        };
        Ok(transport.tls(&Tls::builder().certificate(certificate).build()?))
    }
}

/// A new self-signed certificate for `localhost` and 127.0.0.1. No client trusts it; use it to try things out.
///
/// # Errors
///
/// If the kernel gives no random numbers.
pub fn self_signed() -> Result<Certificate, BoxError> {
    let made = rcgen::generate_simple_self_signed(["localhost", "127.0.0.1"].map(str::to_owned))?;
    Ok(Certificate::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes())?)
}
