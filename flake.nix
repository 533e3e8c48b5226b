# SyncKairos for Nix:
#
#     nix run . -- --data-dir ./data    the server
#     nix develop                       a shell with all that the tests need; then tests/run
#     nix run .#loadtest                the load generator, in a checkout
#     nix flake check                   builds, runs every test, and boots a machine with the NixOS module
#
# flake.lock pins nixpkgs; `nix flake update` moves it on within its release.
{
  description = "A server that keeps clocks in sync for many people at once";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      perSystem = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      package = pkgs: pkgs.callPackage ./packaging/package.nix { };

      # What the tests start or ask; tests/run installs the same elsewhere.
      testTools =
        pkgs: with pkgs; [
          curl
          haproxy
          libfaketime
          nix
          postgresql
          redis
          systemd
          util-linux
        ];
    in
    {
      packages = perSystem (pkgs: {
        default = package pkgs;
      });

      apps = perSystem (pkgs: {
        loadtest = {
          type = "app";
          meta.description = "Measures SyncKairos; run it in a checkout";
          program = lib.getExe (
            pkgs.writeShellApplication {
              name = "loadtest";
              runtimeInputs =
                with pkgs;
                [
                  cargo
                  rustc
                  stdenv.cc
                ]
                ++ testTools pkgs;
              text = ''
                cargo build --locked --release
                exec cargo run --locked --release -p loadtest -- "$@"
              '';
            }
          );
        };
      });

      devShells = perSystem (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ (package pkgs) ];
          packages =
            with pkgs;
            [
              clippy
              rustfmt
            ]
            ++ testTools pkgs;
        };
      });

      checks = perSystem (pkgs: {
        package = package pkgs;
        tests = (package pkgs).overrideAttrs {
          pname = "synckairos-tests";
          src = self;
          doCheck = true;
          cargoBuildType = "debug";
          cargoCheckType = "debug";
          cargoTestFlags = [ "--workspace" ];
          nativeCheckInputs = testTools pkgs;
        };
        machine = pkgs.testers.runNixOSTest (import ./packaging/nixos-test.nix self.nixosModules.default);
      });

      nixosModules.default = import ./packaging/nixos.nix package;
    };
}
