/**
 * Functions of databases that read and compute, and nothing else. Any other may be one that somebody has written, or one that reads
 * files, calls out, runs a text as SQL or stops a server: a statement that calls it cannot be decided from its text.
 */
export const HARMLESS_FUNCTIONS: ReadonlySet<string> = new Set(
  [
    // aggregates and windows
    'count sum avg min max total group_concat string_agg listagg array_agg json_agg jsonb_agg json_object_agg jsonb_object_agg json_arrayagg',
    'json_objectagg json_group_array json_group_object bool_and bool_or every bit_and bit_or bit_xor stddev stddev_pop stddev_samp variance',
    'var_pop var_samp corr covar_pop covar_samp regr_slope regr_intercept regr_r2 percentile_cont percentile_disc median mode any_value approx_count_distinct',
    'count_big stdev stdevp var varp checksum_agg grouping grouping_id row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value',
    'last_value nth_value first last over partition within filter keep cube rollup sets',
    // conditions and conversions
    'coalesce nullif ifnull isnull nvl nvl2 decode iif if case greatest least cast convert try_cast try_convert safe_cast to_char to_number to_date',
    'to_timestamp to_json to_jsonb row_to_json parse try_parse typeof pg_typeof format printf num_nulls num_nonnulls choose switch',
    // texts
    'length len char_length character_length octet_length bit_length datalength lower upper lcase ucase initcap trim ltrim rtrim btrim substr substring',
    'substring_index mid left right lpad rpad repeat replicate replace translate reverse concat concat_ws instr position locate charindex patindex strpos',
    'split_part string_to_array array_to_string regexp_match regexp_matches regexp_replace regexp_substr regexp_instr regexp_count regexp_like',
    'regexp_split_to_array regexp_split_to_table starts_with ends_with contains overlay ascii chr char nchar unicode unistr quote quote_ident quote_literal',
    'quote_nullable quotename str stuff space soundex difference levenshtein similarity word_similarity metaphone md5 sha sha1 sha2 sha224 sha256 sha384',
    'sha512 crc32 hex unhex encode to_hex to_base64 from_base64 hashbytes digest string_split elt field find_in_set insert_str like glob collate',
    'tsvector to_tsvector to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery ts_rank ts_rank_cd ts_headline match against highlight',
    'snippet bm25 normalize unaccent html_escape uuid_to_bin bin_to_uuid',
    // numbers
    'abs ceil ceiling floor round trunc truncate sign mod div power pow sqrt cbrt exp ln log log2 log10 pi sin cos tan cot asin acos atan atan2 degrees',
    'radians width_bucket gcd lcm factorial bin oct conv rand random numeric decimal bitand bitor bitxor',
    // times
    'now current_timestamp current_date current_time localtime localtimestamp getdate getutcdate sysdate sysdatetime sysutcdatetime systimestamp utc_date',
    'utc_time utc_timestamp curdate curtime clock_timestamp statement_timestamp transaction_timestamp timeofday date time datetime timestamp timestamptz julianday unixepoch strftime age',
    'date_part date_trunc date_bin extract datepart datename dateadd datediff datediff_big datefromparts datetimefromparts eomonth date_add date_sub adddate subdate addtime',
    'timestampadd timestampdiff date_format time_format str_to_date from_unixtime unix_timestamp to_days from_days year quarter month week day hour',
    'minute second dayname monthname dayofweek dayofmonth dayofyear weekday weekofyear yearweek last_day add_months months_between next_day make_date',
    'make_time make_timestamp make_timestamptz make_interval interval justify_days justify_hours justify_interval isfinite isdate period_diff',
    'generate_series sequence unnest timezone at date_diff',
    // JSON, arrays, ranges, maps
    'json jsonb json_extract json_value json_query json_object json_array json_exists json_valid json_type json_keys json_length json_contains json_contains_path json_search',
    'json_unquote json_quote json_set json_insert json_replace json_remove json_merge json_merge_patch json_merge_preserve json_patch json_pretty json_each',
    'json_tree json_table json_depth json_overlaps json_array_length json_extract_path json_extract_path_text json_build_object json_build_array json_typeof',
    'json_strip_nulls json_object_keys json_array_elements json_array_elements_text json_each_text json_populate_record json_to_record json_to_recordset jsonb_extract_path',
    'jsonb_extract_path_text jsonb_build_object jsonb_build_array jsonb_typeof jsonb_strip_nulls jsonb_object_keys jsonb_array_elements',
    'jsonb_array_elements_text jsonb_array_length jsonb_each jsonb_each_text jsonb_set jsonb_insert jsonb_pretty jsonb_path_query jsonb_path_query_array',
    'jsonb_path_query_first jsonb_path_exists jsonb_path_match jsonb_to_record jsonb_to_recordset openjson isjson array array_length array_append',
    'array_prepend array_cat array_position array_positions array_remove array_replace array_dims array_ndims array_lower array_upper cardinality',
    'any some all row array_contains array_distinct array_join array_sort array_size flatten int4range int8range numrange tsrange tstzrange daterange',
    'lower_inc upper_inc isempty struct map hstore akeys avals',
    // what and who, without changing it
    'version current_user session_user user database schema current_database current_schema current_schemas current_catalog db_name object_name object_id schema_name',
    'user_name suser_sname sqlite_version changes total_changes last_insert_rowid last_insert_id scope_identity row_count found_rows connection_id',
    'pg_size_pretty pg_total_relation_size pg_relation_size pg_table_size pg_indexes_size pg_database_size pg_column_size pg_get_viewdef',
    'pg_get_indexdef pg_get_constraintdef pg_get_functiondef pg_get_expr pg_get_serial_sequence obj_description col_description format_type has_table_privilege',
    'has_schema_privilege has_column_privilege pg_table_is_visible to_regclass pg_backend_pid inet_server_addr pg_is_in_recovery',
    'columnproperty objectproperty serverproperty databasepropertyex uuid newid gen_random_uuid uuid_generate_v4 sys_guid randomblob zeroblob ulid',
    'pragma_table_info pragma_index_list pragma_foreign_key_list table_info inet_aton inet_ntoa inet6_aton inet6_ntoa host family masklen network',
    // places
    'point polygon linestring geometry geography st_point st_makepoint st_setsrid st_x st_y st_distance st_dwithin st_within st_contains st_intersects st_area st_length',
    'st_buffer st_centroid st_transform st_asgeojson st_astext st_geomfromtext st_geogfromtext st_geomfromgeojson st_union st_collect st_envelope',
    'st_makeenvelope st_srid st_isvalid st_simplify st_distance_sphere st_distancesphere st_touches st_overlaps st_covers st_coveredby st_equals earth_distance ll_to_earth',
    // vectors
    'cosine_distance l2_distance inner_product vec_distance_cosine vec_distance_l2 vector_norm vector_dims',
  ].flatMap((line) => line.split(' ')),
);

/** They give numbers and take them away: not reading, and no harm. */
export const WRITING_FUNCTIONS: ReadonlySet<string> = new Set(['nextval', 'setval', 'currval', 'lastval']);

/** Words before a parenthesis that call nothing: clauses, and types with a length. */
export const NO_FUNCTIONS: ReadonlySet<string> = new Set(
  (
    'in values value exists and or not where on using as from join select union except intersect when then else having by limit offset set returning ' +
    'between like ilike is distinct top with lateral table key unique check default primary references return materialized only apply into ' +
    'varchar char character nvarchar nchar varbinary binary bit varbit float double real decimal numeric number dec fixed int integer tinyint smallint mediumint bigint ' +
    'datetime2 datetimeoffset timestamptz varchar2 nvarchar2 raw enum text blob clob vector halfvec string bytes fetch next outer inner all always ' +
    'include conflict index columns tablesample system bernoulli hash range list btree gin gist brin options option rows groups unbounded preceding less than ' +
    'copy group insert usage duplicate update do nothing force use ignore end explain analyze vacuum window exclude constraint foreign collation storing partitions subpartition'
  ).split(' '),
);
