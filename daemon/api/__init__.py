"""The local HTTP API: routes, schemas, access rules, problem documents."""
