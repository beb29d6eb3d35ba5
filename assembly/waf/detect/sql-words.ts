// The words of SQL by what they do in a sentence of it, chosen from the manuals of MySQL and MariaDB, PostgreSQL, Microsoft
// SQL Server, Oracle and SQLite. Not every word of a dialect: what ordinary text uses as often stays out unless a
// structure needs it. Whether a word counts depends on the structure around it (judge.ts), never on the word alone.
import { addWords, clearTable, SQL_SLOTS, SQL_TABLE, wordKind } from './words';

// KINDS, as the judge asks for them
export const WORD_NAME: u32 = 0; // any other word
export const WORD_AND: u32 = 1; // AND OR XOR
export const WORD_NOT: u32 = 2;
export const WORD_LIKE: u32 = 3; // LIKE and other infix comparisons
export const WORD_DIV: u32 = 4; // arithmetic
export const WORD_IN: u32 = 5;
export const WORD_BETWEEN: u32 = 6;
export const WORD_IS: u32 = 7;
export const WORD_UNION: u32 = 8; // joins two SELECTs
export const WORD_SELECT: u32 = 9;
export const WORD_ALL: u32 = 10; // ALL DISTINCT: between SELECT and its list
export const WORD_FROM: u32 = 11;
export const WORD_WHERE: u32 = 12;
export const WORD_ORDER: u32 = 13; // ORDER GROUP
export const WORD_BY: u32 = 14;
export const WORD_HAVING: u32 = 15;
export const WORD_LIMIT: u32 = 16;
export const WORD_INTO: u32 = 17;
export const WORD_OUTFILE: u32 = 18;
export const WORD_FOR: u32 = 19;
export const WORD_LOCK: u32 = 20;
export const WORD_PROCEDURE: u32 = 21;
export const WORD_WAITFOR: u32 = 22;
export const WORD_DELAY: u32 = 23;
export const WORD_VALUES: u32 = 24;
export const WORD_INSERT: u32 = 25; // INSERT REPLACE MERGE
export const WORD_UPDATE: u32 = 26;
export const WORD_DELETE: u32 = 27;
export const WORD_DROP: u32 = 28; // DROP ALTER CREATE TRUNCATE
export const WORD_OBJECT: u32 = 29; // what DROP drops
export const WORD_EXEC: u32 = 30;
export const WORD_DECLARE: u32 = 31;
export const WORD_SET: u32 = 32;
export const WORD_IF: u32 = 33;
export const WORD_BEGIN: u32 = 34;
export const WORD_END: u32 = 35;
export const WORD_CASE: u32 = 36;
export const WORD_WHEN: u32 = 37; // WHEN THEN ELSE
export const WORD_GOTO: u32 = 38;
export const WORD_SHUTDOWN: u32 = 39; // complete on their own
export const WORD_USE: u32 = 40; // take a name or a string
export const WORD_WHILE: u32 = 41;
export const WORD_CONSTANT: u32 = 42; // NULL TRUE and functions without parentheses
export const WORD_UNARY: u32 = 43; // BINARY EXISTS ANY
export const WORD_INTERVAL: u32 = 44;
export const WORD_COLLATE: u32 = 45;
export const WORD_AS: u32 = 46;
export const WORD_TOP: u32 = 47;
export const WORD_JOIN: u32 = 48;
export const WORD_MODE: u32 = 49; // BOOLEAN NATURAL, as in IN BOOLEAN MODE
export const WORD_MATCH: u32 = 50; // MATCH AGAINST
export const WORD_FUNCTION: u32 = 51; // a function of expressions
export const WORD_INFORMANT: u32 = 52; // a function that tells about the server or the session
export const WORD_WEAPON: u32 = 53; // a function that waits, reads, writes or runs: nobody types it into a form
export const WORD_CATALOG: u32 = 54; // a table or schema of the server itself
export const WORD_WITH: u32 = 55;
export const WORD_SOUNDS: u32 = 56; // SOUNDS LIKE, SIMILAR TO
export const WORD_LOAD: u32 = 57; // LOAD DATA, BULK INSERT
export const WORD_ANALYSE: u32 = 58;
export const WORD_OFFSET: u32 = 59;
export const WORD_TYPED: u32 = 61; // DATE '2026-11-21'
export const WORD_PROBE: u32 = 60; // a function that takes a text apart or puts one together, byte by byte

let ready = false;

function addCommon(): void {
  add(WORD_FUNCTION, 'abs acos asin atan atan2 avg bit_length cast ceil ceiling char_length character_length');
  add(WORD_FUNCTION, 'coalesce concat convert cos cot count degrees dense_rank exp extract first_value floor');
  add(WORD_FUNCTION, 'greatest initcap instr lag last_value lead least left length ln log log10 lower lpad ltrim');
  add(WORD_FUNCTION, 'max min mod now ntile nullif octet_length overlay pi position power radians rand random rank');
  add(WORD_FUNCTION, 'repeat replace reverse right round row_number rpad rtrim sign sin sqrt stddev substr');
  add(WORD_FUNCTION, 'substring sum tan translate trim truncate upper variance xmlelement xmlagg xmlforest');
}

function addMysql(): void {
  add(WORD_FUNCTION, 'adddate addtime aes_decrypt aes_encrypt any_value ascii bin bin_to_uuid bit_and bit_count');
  add(WORD_FUNCTION, 'bit_or bit_xor char compress concat_ws conv convert_tz crc32 curdate curtime date_add');
  add(WORD_FUNCTION, 'date_format date_sub datediff dayname dayofmonth dayofweek decode des_decrypt des_encrypt elt');
  add(WORD_FUNCTION, 'encode encrypt export_set field find_in_set format from_base64 from_days from_unixtime');
  add(WORD_FUNCTION, 'get_format group_concat hex ifnull inet6_aton inet6_ntoa inet_aton inet_ntoa isnull');
  add(WORD_FUNCTION, 'json_array json_arrayagg json_contains json_depth json_extract json_keys json_length');
  add(WORD_FUNCTION, 'json_object json_objectagg json_pretty json_search json_set json_type json_unquote json_valid');
  add(WORD_FUNCTION, 'last_day lcase linestring locate log2 make_set makedate md5 mid monthname multipoint');
  add(WORD_FUNCTION, 'multipolygon name_const oct old_password ord password period_add period_diff polygon pow');
  add(WORD_FUNCTION, 'quote regexp_instr regexp_replace regexp_substr sec_to_time sha sha1 sha2 soundex space std');
  add(WORD_FUNCTION, 'str_to_date strcmp subdate substring_index subtime time_format time_to_sec timediff');
  add(WORD_FUNCTION, 'timestampadd timestampdiff to_base64 to_days ucase uncompress uncompressed_length unhex');
  add(WORD_FUNCTION, 'unix_timestamp uuid uuid_short weekday weekofyear weight_string yearweek');
}

function addPostgresql(): void {
  add(WORD_FUNCTION, 'array_agg array_length array_to_json array_to_string btrim chr convert_from convert_to');
  add(WORD_FUNCTION, 'date_part date_trunc format_type generate_series json_agg json_build_object json_each');
  add(WORD_FUNCTION, 'jsonb_agg jsonb_build_object jsonb_each lo_get query_to_xml quote_ident quote_literal');
  add(WORD_FUNCTION, 'regexp_match regexp_matches regexp_split_to_array regexp_split_to_table row_to_json');
  add(WORD_FUNCTION, 'split_part starts_with string_agg string_to_array strpos table_to_xml to_ascii to_char');
  add(WORD_FUNCTION, 'to_date to_hex to_json to_number to_timestamp unnest xmlparse');
}

function addSqlServer(): void {
  add(WORD_FUNCTION, 'charindex checksum choose datalength dateadd datefromparts datename datepart difference');
  add(WORD_FUNCTION, 'eomonth fn_varbintohexstr getdate getutcdate hashbytes iif isdate isnumeric json_query');
  add(WORD_FUNCTION, 'json_value len nchar newid objectproperty openjson parsename patindex quotename replicate str');
  add(WORD_FUNCTION, 'string_split stuff sysdatetime try_cast try_convert unicode');
}

function addOracleAndSqlite(): void {
  add(WORD_FUNCTION, 'add_months bitand glob group_id hextoraw instrb julianday last_insert_rowid listagg lengthb');
  add(WORD_FUNCTION, 'lnnvl months_between nanvl next_day numtodsinterval numtoyminterval nvl nvl2 printf rawtohex');
  add(WORD_FUNCTION, 'regexp_count regexp_like strftime substrb sys_connect_by_path to_clob to_lob to_multi_byte');
  add(WORD_FUNCTION, 'total trunc typeof unistr vsize wm_concat xmltype zeroblob');
}

function addInformants(): void {
  add(WORD_INFORMANT, 'charset coercibility col_length col_name collation connection_id current_database');
  add(WORD_INFORMANT, 'current_query current_schema current_schemas current_setting database db_id db_name');
  add(WORD_INFORMANT, 'file_name filegroup_name fn_my_permissions found_rows get_lock has_dbaccess');
  add(WORD_INFORMANT, 'has_table_privilege host_id host_name ident_current inet_client_addr inet_server_addr');
  add(WORD_INFORMANT, 'is_free_lock is_member is_srvrolemember is_used_lock last_insert_id loginproperty object_id');
  add(WORD_INFORMANT, 'object_name original_login pg_backend_pid pg_client_encoding pg_current_logfile');
  add(WORD_INFORMANT, 'pg_get_viewdef pg_postmaster_start_time row_count schema schema_name serverproperty');
  add(WORD_INFORMANT, 'session_user sqlite_source_id sqlite_version suser_name suser_sname sys_context system_user');
  add(WORD_INFORMANT, 'user user_id user_name userenv version');
}

function addWeapons(): void {
  add(WORD_WEAPON, 'benchmark cachetest ctxsys dbms_assert dbms_java dbms_ldap dbms_lock dbms_pipe dbms_random');
  add(WORD_WEAPON, 'dbms_scheduler dbms_session dbms_sql dbms_utility dbms_xdb_version dbms_xmlgen dbms_xmlquery');
  add(WORD_WEAPON, 'dblink dblink_connect dblink_exec extractvalue filetoblob filetoclob fn_get_audit_file');
  add(WORD_WEAPON, 'fn_trace_gettable fn_xe_file_target_read_file gtid_subset gtid_subtract httpuritype');
  add(WORD_WEAPON, 'load_extension load_file lo_export lo_from_bytea lo_import lo_put lotofile master_pos_wait');
  add(WORD_WEAPON, 'openquery openrowset opendatasource ordsys pg_ls_dir pg_read_binary_file pg_read_file');
  add(WORD_WEAPON, 'pg_reload_conf pg_sleep pg_sleep_for pg_sleep_until pg_stat_file pg_terminate_backend');
  add(WORD_WEAPON, 'procedure_analyse query_to_xmlschema randomblob release_lock set_config sleep sp_configure');
  add(WORD_WEAPON, 'sp_executesql sp_makewebtask sp_oacreate sp_oamethod sp_password sys_eval sys_exec updatexml');
  add(WORD_WEAPON, 'utl_file utl_http utl_inaddr utl_mail utl_raw utl_smtp utl_tcp xp_availablemedia xp_cmdshell');
  add(WORD_WEAPON, 'xp_dirtree xp_enumgroups xp_fileexist xp_fixeddrives xp_getfiledetails xp_loginconfig');
  add(WORD_WEAPON, 'xp_ntsec_enumdomains xp_regread xp_regwrite xp_servicecontrol xp_subdirs');
}

function addCatalogs(): void {
  add(WORD_CATALOG, 'all_cons_columns all_constraints all_objects all_source all_tab_cols all_tab_columns');
  add(WORD_CATALOG, 'all_tab_tables all_tables all_users all_views dba_tables dba_users dual information_schema');
  add(WORD_CATALOG, 'msysaccessobjects msysobjects msysqueries mysql performance_schema pg_attribute pg_authid');
  add(WORD_CATALOG, 'pg_catalog pg_class pg_database pg_namespace pg_roles pg_shadow pg_tables pg_user');
  add(WORD_CATALOG, 'product_component_version rdb$database session_privs session_roles sqlite_master sqlite_schema');
  add(WORD_CATALOG, 'sqlite_temp_master syscat syscolumns sysdatabases sysdba sysibm syslogins sysmaster sysobjects');
  add(WORD_CATALOG, 'sysprocesses systables sysusers user_constraints user_objects user_tab_columns user_tables');
  add(WORD_CATALOG, 'user_users v$instance v$session v$version');
}

function build(): void {
  ready = true;
  clearTable(SQL_TABLE, SQL_SLOTS);
  add(WORD_AND, 'and or xor');
  add(WORD_NOT, 'not');
  add(WORD_LIKE, 'like rlike regexp ilike');
  add(WORD_DIV, 'div mod');
  add(WORD_IN, 'in');
  add(WORD_BETWEEN, 'between');
  add(WORD_IS, 'is');
  add(WORD_UNION, 'union except intersect minus');
  add(WORD_SELECT, 'select');
  add(WORD_ALL, 'all distinct distinctrow straight_join sql_no_cache sql_cache sql_calc_found_rows high_priority');
  add(WORD_FROM, 'from');
  add(WORD_WHERE, 'where');
  add(WORD_ORDER, 'order group');
  add(WORD_BY, 'by');
  add(WORD_HAVING, 'having');
  add(WORD_LIMIT, 'limit');
  add(WORD_INTO, 'into');
  add(WORD_OUTFILE, 'outfile dumpfile');
  add(WORD_FOR, 'for');
  add(WORD_LOCK, 'lock');
  add(WORD_PROCEDURE, 'procedure');
  add(WORD_WAITFOR, 'waitfor');
  add(WORD_DELAY, 'delay time');
  add(WORD_VALUES, 'values');
  add(WORD_INSERT, 'insert merge');
  add(WORD_UPDATE, 'update');
  add(WORD_DELETE, 'delete');
  add(WORD_DROP, 'drop alter create truncate');
  add(WORD_OBJECT, 'table index view trigger login column sequence role');
  add(WORD_EXEC, 'exec execute call');
  add(WORD_DECLARE, 'declare');
  add(WORD_SET, 'set');
  add(WORD_IF, 'if');
  add(WORD_BEGIN, 'begin');
  add(WORD_END, 'end');
  add(WORD_CASE, 'case');
  add(WORD_WHEN, 'when then else');
  add(WORD_GOTO, 'goto');
  add(WORD_SHUTDOWN, 'shutdown commit rollback');
  add(WORD_USE, 'use print kill backup restore handler grant revoke attach prepare deallocate copy do show explain');
  add(WORD_WHILE, 'while');
  add(WORD_CONSTANT, 'null true false unknown current_user current_date current_time current_timestamp current_role');
  add(WORD_CONSTANT, 'localtime localtimestamp utc_date utc_time utc_timestamp sysdate systimestamp rownum');
  add(WORD_UNARY, 'binary exists any some prior');
  add(WORD_INTERVAL, 'interval');
  add(WORD_COLLATE, 'collate');
  add(WORD_AS, 'as');
  add(WORD_TOP, 'top first');
  add(WORD_JOIN, 'join inner cross natural outer');
  add(WORD_MODE, 'boolean');
  add(WORD_MATCH, 'match');
  add(WORD_WITH, 'with');
  add(WORD_SOUNDS, 'sounds similar');
  add(WORD_LOAD, 'load bulk');
  add(WORD_ANALYSE, 'analyse analyze');
  add(WORD_TYPED, 'date timestamp');
  add(WORD_OFFSET, 'offset fetch');
  add(WORD_PROBE, 'ascii ord substring substr substrb mid char chr nchar unicode hex unhex conv bin rawtohex');
  addWeapons();
  addInformants();
  addCatalogs();
  addCommon();
  addMysql();
  addPostgresql();
  addSqlServer();
  addOracleAndSqlite();
}

function add(kind: u32, list: string): void {
  addWords(SQL_TABLE, SQL_SLOTS, kind, list);
}

/** Kind of a word, from the hash of its letters in lower case. */
export function sqlWord(hash: u32, at: usize, length: i32): u32 {
  if (!ready) build();
  return wordKind(SQL_TABLE, SQL_SLOTS, hash, at, length);
}
