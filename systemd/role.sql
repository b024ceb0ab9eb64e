-- The agent's role, for PostgreSQL 12 to 18. It may see everybody's statistics and all settings, and nothing else: no
-- table, no function that locks or changes something. Safe to run again.
--
-- Run it as a superuser in the database that the agent connects to (database.name):
--
--   psql --no-psqlrc --set ON_ERROR_STOP=1 --dbname postgres --file role.sql
--
-- It sets no password. On the same host peer authentication needs none; else \password bitville_monitor in psql.

do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'bitville_monitor') then
    create role bitville_monitor;
  end if;
  -- The agent opens five connections at most: a mistake in it cannot use up the server's.
  alter role bitville_monitor login inherit connection limit 5;
  -- Not pg_monitor, which adds functions that wait behind locks of tables (pg_stat_scan_tables).
  grant pg_read_all_stats, pg_read_all_settings to bitville_monitor;
  -- The agent sets these itself; here they hold for whoever else comes by the password.
  alter role bitville_monitor set default_transaction_read_only = on;
  alter role bitville_monitor set statement_timeout = '5s';
  alter role bitville_monitor set lock_timeout = '500ms';
  execute pg_catalog.format('grant connect on database %I to bitville_monitor', pg_catalog.current_database());
  -- Which file the server writes its log to. Up to version 16 this is for superusers, and a database service may keep
  -- it to itself: the agent finds the file without it, by looking.
  begin
    grant execute on function pg_catalog.pg_current_logfile(), pg_catalog.pg_current_logfile(text) to bitville_monitor;
  exception when insufficient_privilege then
    raise notice 'pg_current_logfile stays closed to bitville_monitor';
  end;
end
$$;
