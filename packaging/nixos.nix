# The NixOS module. The unit is the package's own, packaging/synckairos.service: only settings are added here.
package:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.synckairos;
  secrets = [
    "API_KEY"
    "TOKEN_SECRET"
    "REDIS_PASSWORD"
    "DATABASE_PASSWORD"
  ];
  keys = [
    "KEYS_FILE"
    "API_KEY_FILE"
    "TOKEN_SECRET_FILE"
    "TOKEN_JWKS"
  ];
  has = lib.any (name: cfg.settings ? ${name});
  isLocal =
    host: host == "localhost" || host == "::1" || lib.hasPrefix "127." host || lib.hasPrefix "unix:/" host;
in
{
  options.services.synckairos = {
    enable = lib.mkEnableOption "SyncKairos, a server that keeps clocks in sync";

    package = lib.mkOption {
      type = lib.types.package;
      default = package pkgs;
      defaultText = lib.literalMD "the flake's";
      description = "The server.";
    };

    settings = lib.mkOption {
      type =
        with lib.types;
        attrsOf (oneOf [
          str
          int
        ]);
      default = { };
      example = {
        HOST = "0.0.0.0";
        REDIS_URL = "redis://localhost";
        AUDIT = "off";
      };
      description = "What `synckairos --help` lists. Everybody can read it: passwords belong into `environmentFile`.";
    };

    environmentFile = lib.mkOption {
      type = with lib.types; nullOr path;
      default = null;
      example = "/run/secrets/synckairos.env";
      description = "More settings, a `NAME=value` a line, such as a DATABASE_URL with a password.";
    };

    keysFile = lib.mkOption {
      type = with lib.types; nullOr path;
      default = null;
      example = "/run/secrets/synckairos-keys.json";
      description = "The file of keys, which nobody but root must be able to read. The service is handed a copy: restart it when the file changes.";
    };

    openFirewall = lib.mkEnableOption "the firewall's port of the server";
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    systemd.packages = [ cfg.package ];
    systemd.services.synckairos = {
      wantedBy = [ "multi-user.target" ];
      environment = lib.mapAttrs (_: toString) (
        # Sessions are kept in one place: the unit's directory or Redis.
        lib.optionalAttrs (cfg.settings ? REDIS_URL) { DATA_DIR = ""; }
        // lib.optionalAttrs (cfg.keysFile != null) { KEYS_FILE = "%d/keys.json"; }
        // cfg.settings
      );
      serviceConfig.EnvironmentFile = lib.mkIf (cfg.environmentFile != null) cfg.environmentFile;
      serviceConfig.LoadCredential = lib.mkIf (cfg.keysFile != null) "keys.json:${cfg.keysFile}";
    };
    assertions = [
      {
        # What environmentFile says is known when the server starts, which refuses the same.
        assertion =
          isLocal (cfg.settings.HOST or "127.0.0.1")
          || cfg.keysFile != null
          || cfg.environmentFile != null
          || has keys
          || (cfg.settings.AUTH or "auto") == "off";
        message = "services.synckairos: others can reach HOST = \"${cfg.settings.HOST or ""}\", and no keys are given: give keysFile, listen on loopback, or say settings.AUTH = \"off\".";
      }
      {
        assertion = !(has secrets);
        message = "services.synckairos.settings: everybody can read ${lib.concatStringsSep ", " secrets} there: give files, or environmentFile.";
      }
    ];
    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [ (cfg.settings.PORT or 3000) ];
  };
}
