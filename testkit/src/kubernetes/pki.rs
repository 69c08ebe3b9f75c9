//! The certificates of one cluster: an authority of its own, the servers' certificates, and clients' kubeconfigs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::NODE_ADDRESS;
use crate::server::write_private;

/// The name of the node, of its kubelet and of the host in pod affinities.
pub(crate) const NODE: &str = "node1";

/// Names under which clients on this machine and in pods reach the API server.
const API_SERVER_NAMES: [&str; 7] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "127.0.0.1",
    "10.96.0.1",
    NODE_ADDRESS,
];

/// A folder with `ca.crt`, `ca.key`, `sa.pub`, `sa.key`, and `NAME.crt`, `NAME.key` for each certificate made.
pub(crate) struct Pki {
    folder: PathBuf,
}

impl Pki {
    /// Makes the authority, the key pair that signs service account tokens, and the API server's certificate.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let key = KeyPair::generate()?;
        write_private(&folder.join("ca.crt"), &authority()?.self_signed(&key)?.pem())?;
        write_private(&folder.join("ca.key"), &key.serialize_pem())?;

        let tokens = KeyPair::generate()?;
        write_private(&folder.join("sa.key"), &tokens.serialize_pem())?;
        write_private(&folder.join("sa.pub"), &tokens.public_key_pem())?;

        let pki = Self { folder: folder.to_owned() };
        pki.certify("apiserver", "kube-apiserver", None, &API_SERVER_NAMES)?;
        Ok(pki)
    }

    /// The authority made earlier in `folder`.
    pub(crate) fn open(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The path of one of its files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes `NAME.crt` and `NAME.key` for a user, in a group if any, who is also a server when it has names.
    pub(crate) fn certify(
        &self,
        name: &str,
        user: &str,
        group: Option<&str>,
        server_names: &[&str],
    ) -> Result<()> {
        let issuer = Issuer::new(
            authority()?,
            KeyPair::from_pem(&fs::read_to_string(self.file("ca.key"))?)?,
        );

        let mut certificate = subject(user, group)?;
        let names = CertificateParams::new(
            server_names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(),
        )?;
        certificate.subject_alt_names = names.subject_alt_names;
        certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !server_names.is_empty() {
            certificate.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        certificate.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        write_private(
            &self.file(&format!("{name}.crt")),
            &certificate.signed_by(&key, &issuer)?.pem(),
        )?;
        write_private(&self.file(&format!("{name}.key")), &key.serialize_pem())
    }

    /// Writes a kubeconfig for a new client certificate and returns its path.
    ///
    /// It names the certificate's files, so it works only on this machine while the cluster lives.
    pub(crate) fn kubeconfig(
        &self,
        name: &str,
        user: &str,
        group: Option<&str>,
        api_port: u16,
    ) -> Result<PathBuf> {
        self.certify(name, user, group, &[])?;
        self.kubeconfig_of(name, api_port)
    }

    /// As [`Self::kubeconfig`], for a certificate that [`Self::certify`] has made.
    pub(crate) fn kubeconfig_of(&self, name: &str, api_port: u16) -> Result<PathBuf> {
        let file = self.file(&format!("{name}.kubeconfig"));
        let (authority, certificate, key) = (
            self.file("ca.crt"),
            self.file(&format!("{name}.crt")),
            self.file(&format!("{name}.key")),
        );
        let text = format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: shopkeeper\n  \
               cluster: {{server: \"https://127.0.0.1:{api_port}\", certificate-authority: {authority:?}}}\n\
             users:\n\
             - name: {name}\n  \
               user: {{client-certificate: {certificate:?}, client-key: {key:?}}}\n\
             contexts:\n\
             - name: shopkeeper\n  \
               context: {{cluster: shopkeeper, user: {name}}}\n\
             current-context: shopkeeper\n"
        );
        write_private(&file, &text)?;
        Ok(file)
    }
}

/// The authority without its key: the same for every cluster.
fn authority() -> Result<CertificateParams> {
    let mut authority = subject("shopkeeper-test-ca", None)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(authority)
}

/// A subject in the way Kubernetes reads it: the common name is the user, the organisation a group.
fn subject(user: &str, group: Option<&str>) -> Result<CertificateParams> {
    // The default validity is without an end in practice: the certificate's life is that of its cluster.
    let mut certificate =
        CertificateParams::new(Vec::new()).context("an empty list of names is valid")?;
    certificate.distinguished_name = rcgen::DistinguishedName::new();
    certificate.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        certificate.distinguished_name.push(DnType::OrganizationName, group);
    }
    Ok(certificate)
}
