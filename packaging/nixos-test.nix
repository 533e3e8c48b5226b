# A machine on which the module is enabled, and nothing else said: sessions outlive a restart.
module: {
  name = "synckairos";

  nodes.machine = {
    imports = [ module ];
    services.synckairos.enable = true;
  };

  testScript = ''
    session = "http://localhost:3000/v1/sessions/550e8400-e29b-41d4-a716-446655440000"
    create = """curl -sf localhost:3000/v1/sessions -d '{
      "session_id": "550e8400-e29b-41d4-a716-446655440000", "sync_mode": "global", "total_time_ms": 60000, "participants": [
        {"participant_id": "11111111-1111-4111-8111-111111111111", "participant_index": 0, "total_time_ms": 60000}]}'"""

    machine.wait_for_unit("synckairos.service")
    machine.succeed("synckairos health --ready")
    machine.succeed(create)
    machine.succeed("systemctl restart synckairos")
    machine.succeed(f"curl -sf {session}")
  '';
}
