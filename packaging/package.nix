# The server and its systemd unit. The tests are a check of the flake, since they start servers of their own.
{ lib, rustPlatform }:
let
  manifest = lib.importTOML ../Cargo.toml;
  inherit (manifest) package;
in
rustPlatform.buildRustPackage {
  pname = package.name;
  inherit (manifest.workspace.package) version;

  # Of other crates of the workspace, cargo reads the manifests.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.lock
      ../Cargo.toml
      ../fuzz/targets/Cargo.toml
      ../histories/Cargo.toml
      ../loadtest/Cargo.toml
      ../simulation/Cargo.toml
      ../sql
      ../src
      ../tests/support/Cargo.toml
      ./synckairos.service
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;

  doCheck = false;

  postInstall = ''
    install -D -m 644 packaging/synckairos.service -t $out/lib/systemd/system
    substituteInPlace $out/lib/systemd/system/synckairos.service --replace-fail /usr/local/bin $out/bin
  '';

  meta = {
    inherit (package) description;
    mainProgram = package.name;
    platforms = lib.platforms.linux;
  };
}
