//! Values of every type, the extreme ones among them, in the texts that its input function reads.

/// Types no value of which can be in a user's table, with the reason.
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("pg_node_tree", "its input function accepts nothing"),
    ("pg_ndistinct", "its input function accepts nothing"),
    ("pg_dependencies", "its input function accepts nothing"),
    ("pg_mcv_list", "its input function accepts nothing"),
    ("pg_brin_bloom_summary", "its input function accepts nothing"),
    ("pg_brin_minmax_multi_summary", "its input function accepts nothing"),
    ("gtsvector", "its input function accepts nothing"),
];

/// Texts that have broken something somewhere before.
const TEXTS: &[&str] = &[
    "",
    " ",
    "\\N",
    "\\.",
    "a\n\\.\nb",
    "\n",
    "\r\n",
    "a\rb",
    "\t",
    "\"",
    "\"\"",
    "'",
    "''",
    ",",
    "a,b\",\"c",
    "\\",
    "\\\\n",
    "NULL",
    "null",
    "\u{7f}\u{1}\u{1f}",
    "Zürich, Ωμέγα, 東京, 🧾, e\u{301}",
    "\u{feff}bom",
    "\u{2028}\u{85}",
    "{a,b}",
    "(a,\"b\")",
    "; DROP TABLE x; --",
    "$1 $$ %s",
    "trailing  ",
    "  leading",
];

const SHORT_TEXTS: &[&str] = &["", "a", "\\.", "\"x\"", "a,b", "ü\n東", "NULL", "  x "];

/// Values by type.
pub const SAMPLES: &[(&str, &[&str])] = &[
    ("bool", &["t", "f"]),
    ("bytea", &["", "\\x", "\\x00", "\\xdeadbeef5c2e0a", "\\x5c6e", "\\xff00ff0a0d22275c", "\\\\000abc"]),
    ("char", &["", "a", "\"", "\\", "\n", ",", " "]),
    (
        "name",
        &["", "x", "a name, \"quoted\"", "123456789012345678901234567890123456789012345678901234567890123"],
    ),
    ("int8", &["0", "-1", "9223372036854775807", "-9223372036854775808"]),
    ("int2", &["0", "32767", "-32768"]),
    ("int4", &["0", "2147483647", "-2147483648"]),
    ("int2vector", &["", "1", "1 -2 3"]),
    ("regproc", &["now", "-", "pg_catalog.pg_backend_pid"]),
    ("text", TEXTS),
    ("oid", &["0", "1", "4294967295"]),
    ("tid", &["(0,0)", "(4294967295,65535)", "(1,2)"]),
    ("xid", &["0", "3", "4294967295"]),
    ("cid", &["0", "4294967295"]),
    ("oidvector", &["", "1 2 4294967295"]),
    (
        "json",
        &[
            "{}",
            "{\"a\":1,\"a\":2}",
            "  { \"b\" :\n [1.10, 1e400, null ] }  ",
            "\"\\u00e9 \\n\"",
            "null",
            "\"a,\\\"b\"",
            "[]",
        ],
    ),
    ("xml", &["", "<a/>", "<a b=\"c\">x &amp; y\n</a>", "text, <b>more</b>", "<?xml version=\"1.0\"?><r/>"]),
    ("point", &["(0,0)", "(-1e300,1e-300)", "(NaN,Infinity)", "(-0,0.1)"]),
    ("lseg", &["[(0,0),(1,1)]", "[(-1.5,2),(3e10,4)]"]),
    ("path", &["[(0,0),(1,1)]", "((0,0),(1,1),(2,0))", "((1,1))"]),
    ("box", &["(1,1),(0,0)", "(1e300,2),(-1,-2)", "(Infinity,1),(0,0)"]),
    ("polygon", &["((0,0))", "((0,0),(1,1),(2,0))"]),
    ("circle", &["<(0,0),0>", "<(-1.5,1e300),0.1>", "<(1,2),Infinity>"]),
    ("line", &["{1,2,3}", "{0,-1,0.1}", "{-0.5,1,1e300}"]),
    (
        "float4",
        &[
            "0",
            "-0",
            "NaN",
            "Infinity",
            "-Infinity",
            "3.4028235e38",
            "1e-45",
            "0.1",
            "16777217",
            "1.17549435e-38",
        ],
    ),
    (
        "float8",
        &[
            "0",
            "-0",
            "NaN",
            "Infinity",
            "-Infinity",
            "1.7976931348623157e308",
            "5e-324",
            "0.1",
            "0.30000000000000004",
            "2.2250738585072014e-308",
        ],
    ),
    ("money", &["0", "-0.01", "92233720368547758.07", "-92233720368547758.08", "1234567.89"]),
    ("macaddr", &["08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"]),
    ("inet", &["0.0.0.0", "10.1.2.3/8", "::1", "2001:db8::/32", "::ffff:1.2.3.4/128", "192.168.1.5/32"]),
    ("cidr", &["0.0.0.0/0", "10.0.0.0/8", "::/0", "2001:db8::/32", "10.1.2.3/32"]),
    ("macaddr8", &["08:00:2b:01:02:03:04:05", "00:00:00:00:00:00:00:00"]),
    ("aclitem", &["=r/salesync", "salesync=r*w/salesync", "salesync=arwdDxt/salesync"]),
    ("bpchar", &["", "a", "a  ", "ü,\"", "\\.", "\n"]),
    ("varchar", SHORT_TEXTS),
    (
        "date",
        &[
            "-infinity",
            "infinity",
            "4714-11-24 BC",
            "5874897-12-31",
            "2000-02-29",
            "0001-01-01",
            "12345-01-01",
        ],
    ),
    ("time", &["00:00", "24:00:00", "23:59:59.999999", "12:00:00.000001"]),
    (
        "timestamp",
        &[
            "-infinity",
            "infinity",
            "4714-11-24 00:00:00 BC",
            "294276-12-31 23:59:59.999999",
            "2000-01-01 00:00:00.000001",
            "1999-12-31 24:00",
        ],
    ),
    (
        "timestamptz",
        &[
            "-infinity",
            "infinity",
            "4714-11-24 00:00:00+00 BC",
            "294276-12-31 23:59:59.999999+00",
            "2021-10-31 02:30:00+02",
            "2021-10-31 02:30:00+01",
            "1900-01-01 00:00:00+05:45:30",
        ],
    ),
    (
        "interval",
        &[
            "0",
            "1 year 2 mons 3 days 04:05:06.789",
            "-1 year -2 mons +3 days -04:05:06.789",
            "-1 mons +1 day",
            "1 mon -1 day +00:00:00.000001",
            "-00:00:00.000001",
            "178000000 years",
            "-178000000 years",
            "2147483647 days",
            "-2147483648 days",
            "2562047788 hours",
            "1 day -00:00:01",
            "100:00:00",
            "30 days",
        ],
    ),
    ("timetz", &["00:00:00+00", "24:00:00-15:59:59", "23:59:59.999999+15:59:59", "12:00:00+05:45"]),
    ("bit", &["0", "1"]),
    ("varbit", &["", "0", "1", "10101", "0000000000000000000000000000000000000001"]),
    (
        "numeric",
        &[
            "0",
            "NaN",
            "Infinity",
            "-Infinity",
            "-0.00",
            "1.10",
            "1.1000",
            "1234567890123456789012345678901234567890",
            "0.0000000000000000000000000000000000000001",
            "-12345678901234567890.12345678901234567890",
        ],
    ),
    ("refcursor", SHORT_TEXTS),
    ("regprocedure", &["abs(integer)", "-", "pg_catalog.now()"]),
    ("regoper", &["||/", "0", "|/"]),
    ("regoperator", &["+(integer,integer)", "0", "-(NONE,integer)"]),
    ("regclass", &["pg_class", "-", "4294967295", "information_schema.tables"]),
    ("regtype", &["integer", "-", "character varying", "timestamp with time zone", "_int4", "\"char\""]),
    ("regrole", &["salesync", "-", "pg_monitor"]),
    ("regnamespace", &["pg_catalog", "-", "public"]),
    ("regcollation", &["\"C\"", "-", "\"default\""]),
    ("regconfig", &["english", "-", "simple"]),
    ("regdictionary", &["simple", "-", "english_stem"]),
    (
        "uuid",
        &[
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        ],
    ),
    ("pg_lsn", &["0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848"]),
    ("tsvector", &["", "'a':1A,2B 'b c':3", "'it''s' '\\\\\\\\':4", "'quoted \"x\"' a:16383"]),
    ("tsquery", &["", "a & !b | c", "'x y' <-> z:*AB", "'\\\\\\\\'", "a <3> b"]),
    (
        "jsonb",
        &[
            "{}",
            "{\"b\": 1, \"a\": [1.10, null, \"\\u00fc\\n\"], \"a\": 2}",
            "\"\"",
            "null",
            "1e400",
            "[[]]",
            "\"a,\\\"\"",
        ],
    ),
    (
        "jsonpath",
        &[
            "$",
            "$.a[*] ? (@ > 1 && @.b like_regex \"^x\" flag \"i\")",
            "strict $.\"a b\"",
            "lax $[0 to last]",
        ],
    ),
    ("txid_snapshot", &["1:1:", "10:20:10,14,15"]),
    ("pg_snapshot", &["1:1:", "10:20:10,14,15"]),
    ("xid8", &["0", "18446744073709551615", "42"]),
    ("int4range", &["empty", "(,)", "[1,5)", "[-2147483648,2147483647)", "(,0]"]),
    ("numrange", &["empty", "(,)", "[1.10,NaN]", "(-Infinity,Infinity)", "[1.0,1.00]"]),
    (
        "tsrange",
        &["empty", "(,)", "[2000-01-01 00:00,infinity)", "(-infinity,\"2000-01-01 12:00:00.000001\"]"],
    ),
    ("tstzrange", &["empty", "(,)", "[2000-01-01 00:00+02,infinity]", "(,\"2000-01-01 12:00:00+05:45\"]"]),
    (
        "daterange",
        &["empty", "(,)", "[2000-01-01,infinity)", "[-infinity,infinity]", "[2000-01-01,2000-01-02]"],
    ),
    ("int8range", &["empty", "(,)", "[9223372036854775806,9223372036854775807)"]),
    ("int4multirange", &["{}", "{(,)}", "{[1,3),[5,7)}"]),
    ("nummultirange", &["{}", "{(,)}", "{[1.10,2],(3,NaN]}"]),
    ("tsmultirange", &["{}", "{[2000-01-01,2000-01-02),[2001-01-01,infinity)}"]),
    ("tstzmultirange", &["{}", "{[2000-01-01 00:00+02,2000-01-02 00:00+02)}"]),
    ("datemultirange", &["{}", "{[2000-01-01,2000-01-03],[2001-01-01,infinity)}"]),
    ("int8multirange", &["{}", "{[1,3),[5,9223372036854775807)}"]),
];

/// As many digits as a `numeric` can have, and the smallest that is not zero, as SQL.
pub fn widest_numbers() -> [String; 2] {
    [
        "(repeat('9', 131072) || '.' || repeat('9', 16383))::numeric".to_owned(),
        "('0.' || repeat('0', 16382) || '1')::numeric".to_owned(),
    ]
}

/// Types with modifiers.
pub const MODIFIED: &[(&str, &[&str])] = &[
    ("numeric(12,2)", &["0", "-0.01", "9999999999.99", "NaN"]),
    ("numeric(40,20)", &["12345678901234567890.12345678901234567890", "-0.00000000000000000001"]),
    ("numeric(5,-2)", &["1234500", "-100"]),
    ("numeric(3,5)", &["0.00999", "-0.00001"]),
    ("numeric(5,2)[]", &["{1.10,NULL,NaN}", "{{1,2},{3,4.00}}"]),
    ("character varying(5)", &["", "üüüüü", "a b,c"]),
    ("character(5)", &["", "ü", "a b  "]),
    ("character(3)[]", &["{a,\"b c\",\"\"}"]),
    ("character varying(3)[]", &["{\"a\\\"b\",NULL,\"\"}"]),
    ("bit(5)", &["10101", "00000"]),
    ("bit varying(70)", &["", "1010101010101010101010101010101010101010101010101010101010101010101"]),
    ("timestamp(3) without time zone", &["2000-01-01 00:00:00.123", "infinity"]),
    ("timestamp(0) with time zone", &["2000-01-01 00:00:00+02", "-infinity"]),
    ("time(1) without time zone", &["23:59:59.9", "24:00"]),
    ("time(2) with time zone", &["23:59:59.99-15:59"]),
    ("interval(2)", &["-1 days +00:00:00.25"]),
    ("interval year to month", &["-1 year -2 mons"]),
    ("interval day to second(3)", &["1 day -00:00:00.125"]),
    ("interval hour to minute", &["-100:01:00"]),
    ("timestamp(6) with time zone[]", &["{NULL,infinity,\"2000-01-01 00:00:00.000001+00\"}"]),
];

/// Types that a branch made itself: enum, domains, composites, ranges, and arrays of these.
pub const OWN_TYPES: &str = r#"
CREATE SCHEMA "My Types";
CREATE TYPE "My Types".mood AS ENUM ('sad', 'o,k', 'a "b"', '', 'NULL', 'ü\', 'a_b');
CREATE DOMAIN "My Types".amount AS numeric(12,2) CHECK (VALUE > -1000000);
CREATE DOMAIN "My Types".price AS "My Types".amount CHECK (VALUE >= 0);
CREATE DOMAIN "My Types".codes AS varchar(4)[];
CREATE DOMAIN "My Types".place AS box;
CREATE TYPE "My Types".address AS (street text, "no" int, since date, spare text);
CREATE TYPE "My Types".nested AS (a "My Types".address, m "My Types".mood[], f float8, i interval, t timestamptz);
CREATE COLLATION "My Types".no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE "My Types".words AS RANGE (subtype = text, collation = "My Types".no_case);
CREATE TYPE "My Types".floats AS RANGE (subtype = float8, subtype_diff = float8mi);
"#;

/// Values of these. Head office has none of the types and keeps their texts.
pub const OWN: &[(&str, &[&str])] = &[
    (r#""My Types".mood"#, &["sad", "o,k", "a \"b\"", "", "NULL", "ü\\"]),
    (
        r#""My Types".mood[]"#,
        &["{}", "{sad,NULL,\"NULL\",\"a \\\"b\\\"\",\"\",\"o,k\"}", "{{sad},{sad}}", "[3:4]={sad,\"ü\\\\\"}"],
    ),
    (r#""My Types".amount"#, &["0", "-12.50"]),
    (r#""My Types".price"#, &["0.00", "12.50"]),
    (r#""My Types".price[]"#, &["{0.00,NULL,12.5}", "{}"]),
    (r#""My Types".codes"#, &["{a,\"b c\",NULL}", "{}"]),
    (r#""My Types".codes[]"#, &["{\"{a,NULL}\",NULL}"]),
    (r#""My Types".place"#, &["(1,1),(0,0)"]),
    (r#""My Types".place[]"#, &["{(1,1),(0,0);(2,2),(1,1)}", "{}", "{{(1,1),(0,0)};{(2,2),(1,1)}}"]),
    (
        r#""My Types".address"#,
        &["(,,,)", "(\"a \"\"b\"\", (c)\\\\\",1,infinity,\"\")", "(\"x\ny\",-1,2000-01-01,NULL)"],
    ),
    (r#""My Types".address[]"#, &["{\"(a,1,2000-01-01,)\",NULL}", "{}"]),
    (
        r#""My Types".nested"#,
        &[
            "(,,,,)",
            "(\"(a,1,2000-01-01,\"\"x,y\"\")\",\"{sad,NULL}\",-0.1,\"-1 mons +1 day\",\"2021-10-31 02:30:00+02\")",
        ],
    ),
    (r#""My Types".words"#, &["empty", "[a,Z)", "(,\"a,b\"]"]),
    (r#""My Types".words_multirange"#, &["{}", "{[a,b),[x,z]}"]),
    (r#""My Types".floats"#, &["[0.1,Infinity)", "[-0,0.30000000000000004]", "(,)"]),
    (r#"text COLLATE "My Types".no_case"#, &["", "A", "a"]),
    ("pg_catalog.pg_am", &["(1,heap,0,t)"]),
];
