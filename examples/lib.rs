#![doc = include_str!("../README.md")]

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Error};
use impresario::BoxError;
use impresario::server::{Certificate, Tls, Transport};

/// The option `--tls`.
#[derive(Args, Debug)]
pub struct Encryption {
    /// Encrypts by TLS, with this certificate and its key, in PEM; alone, with a certificate made for this run.
    #[arg(long, num_args = 0..=2, value_names = ["CERT", "KEY"])]
    tls: Option<Vec<PathBuf>>,
}

impl Encryption {
    /// How bytes travel then. What cannot be used ends the program as every bad option does: it is named, and the exit
    /// code is 2.
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
            Some(_) => return Err("give a certificate and its key, or neither".into()),
        };
        Ok(transport.tls(&Tls::builder().certificate(certificate).build()?))
    }
}

/// A new certificate for this machine, which vouches for itself: good for trying things out. Nobody trusts it.
///
/// # Errors
///
/// When the kernel gives no random numbers.
pub fn self_signed() -> Result<Certificate, BoxError> {
    let made = rcgen::generate_simple_self_signed(["localhost", "127.0.0.1"].map(str::to_owned))?;
    Ok(Certificate::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes())?)
}
