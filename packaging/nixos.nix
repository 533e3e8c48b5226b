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
        KEYS_FILE = "/etc/synckairos-keys.json";
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

    openFirewall = lib.mkEnableOption "the firewall's port of the server";
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    systemd.packages = [ cfg.package ];
    systemd.services.synckairos = {
      wantedBy = [ "multi-user.target" ];
      environment = lib.mapAttrs (_: toString) (
        # Sessions are kept in one place: the unit's directory or Redis.
        lib.optionalAttrs (cfg.settings ? REDIS_URL) { DATA_DIR = ""; } // cfg.settings
      );
      serviceConfig.EnvironmentFile = lib.mkIf (cfg.environmentFile != null) cfg.environmentFile;
    };
    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [ (cfg.settings.PORT or 3000) ];
  };
}
