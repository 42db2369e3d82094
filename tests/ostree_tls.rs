//! Refs of repositories behind TLS: nginx is the server, openssl makes the certificates.

use std::fs;

use crate::support::mini_image::small_partitions;
use crate::support::nginx::{Authority, Nginx};
use crate::support::program;
use crate::support::repository::{BRANCH, Repository};

struct Place {
    directory: tempfile::TempDir,
    archive: Repository,
    authority: Authority,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let (archive, _) = Repository::archive(&directory.path().join("archive"));
        let authority = Authority::new();
        authority.sign("server", "IP:127.0.0.1", 2);
        Place { directory, archive, authority }
    }

    fn serve(&self, certificate: &str, client: bool) -> Nginx {
        Nginx::of(&self.archive.path, &self.authority, certificate, client)
    }

    fn build(&self, nginx: &Nginx, args: &[&str]) -> program::Ended {
        self.build_to("out", nginx, args)
    }

    fn build_to(&self, out: &str, nginx: &Nginx, args: &[&str]) -> program::Ended {
        let layout = small_partitions(self.directory.path());
        let out = self.directory.path().join(out);
        let mut command = program::bootwright();
        command.args([
            "build",
            &nginx.reference(BRANCH),
            "--type",
            "raw",
            "--no-checksums",
            "--no-verify",
            "--layout",
            &layout,
        ]);
        program::end(command.arg("--output").arg(out).args(args))
    }

    fn refuses(&self, nginx: &Nginx, args: &[&str], facts: &[&str]) {
        let ended = self.build_to("refused", nginx, args);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        facts.iter().for_each(|fact| assert!(ended.stderr.contains(fact), "`{fact}` is not in {}", ended.stderr));
        assert!(!self.directory.path().join("refused").exists());
    }

    fn ca(&self) -> String {
        self.authority.text("ca.pem")
    }
}

#[test]
fn an_own_authority_is_trusted_by_the_build_and_by_the_machine_and_http_2_is_spoken() {
    let place = Place::new();
    let nginx = place.serve("server", false);
    place.refuses(&nginx, &[], &["secure connection failed", "UnknownIssuer", "--tls-ca"]);
    let ended = place.build(&nginx, &["--tls-ca", &place.ca()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let log = nginx.log();
    assert!(log.contains("HTTP/2.0 /config") && !log.contains("HTTP/1.1"), "{log}");
    let raw = fs::read(place.directory.path().join("out/image/disk.raw")).unwrap();
    let holds = |text: &[u8]| raw.windows(text.len()).any(|window| window == text);
    assert!(holds(b"tls-ca-path=/etc/ostree/remotes.d/origin.ca.pem\n"));
    assert!(holds(&fs::read(place.authority.path("ca.pem")).unwrap()));
}

#[test]
fn a_certificate_of_another_name_or_another_time_is_refused() {
    let place = Place::new();
    place.authority.sign("elsewhere", "DNS:elsewhere.example", 2);
    place.authority.sign("old", "IP:127.0.0.1", -1);
    for (certificate, fact) in [("elsewhere", "not valid for name"), ("old", "xpired")] {
        let nginx = place.serve(certificate, false);
        place.refuses(&nginx, &["--tls-ca", &place.ca()], &["secure connection failed", fact, "hint: "]);
    }
}

#[test]
fn a_server_that_asks_who_we_are_gets_the_clients_certificate_which_stays_here() {
    let place = Place::new();
    place.authority.sign("client", "DNS:client.example", 2);
    let nginx = place.serve("server", true);
    place.refuses(&nginx, &["--tls-ca", &place.ca()], &["400", "--tls-client-cert"]);
    let (certificate, key) = (place.authority.text("client.pem"), place.authority.text("client.key"));
    let ended =
        place.build(&nginx, &["--tls-ca", &place.ca(), "--tls-client-cert", &certificate, "--tls-client-key", &key]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("the machine needs its own"), "{}", ended.stderr);
    let raw = fs::read(place.directory.path().join("out/image/disk.raw")).unwrap();
    assert!(!raw.windows(11).any(|window| window == b"PRIVATE KEY"));
    place.refuses(
        &nginx,
        &["--tls-ca", &place.ca(), "--tls-client-cert", &key, "--tls-client-key", &key],
        &["client.key"],
    );
    let missing = place.build(&nginx, &["--tls-client-cert", &certificate]);
    assert_eq!(missing.code, Some(2), "{}", missing.stderr);
    let empty = place.authority.text("empty.pem");
    fs::write(&empty, "").unwrap();
    place.refuses(&nginx, &["--tls-ca", &empty], &["authority", "CERTIFICATE"]);
}
