//! What the application does at a branch, by chance.

use fastrand::Rng;

use crate::company::Node;

/// The tables besides the sales.
pub(super) const TABLES: &str = "
    CREATE TABLE public.shop (id int PRIMARY KEY, name text);
    CREATE TABLE public.visit (shop int REFERENCES public.shop ON UPDATE CASCADE ON DELETE CASCADE, no int,
                               noise bytea, PRIMARY KEY (shop, no));
    CREATE FUNCTION public.noise(size int) RETURNS bytea LANGUAGE sql VOLATILE AS
    $$SELECT string_agg(sha256(random()::text::bytea), '') FROM generate_series(1, size / 32)$$;
    INSERT INTO public.shop VALUES (1, 'first')";

/// Statements, with a number of chance for `{n}`.
const STATEMENTS: &[&str] = &[
    "INSERT INTO public.shop SELECT (SELECT max(id) FROM public.shop) + i, 'new' FROM generate_series(1, 1 + {n} % 9) i",
    "INSERT INTO public.visit SELECT id, {n} % 50 + i, public.noise(256) FROM public.shop, generate_series(1, 4) i
     WHERE id % 3 = {n} % 3 ON CONFLICT DO NOTHING",
    "INSERT INTO public.visit SELECT max(id), {n} + i, public.noise(2048) FROM public.shop, generate_series(1, 60) i
     GROUP BY i ON CONFLICT DO NOTHING",
    "UPDATE public.shop SET name = md5(name) WHERE id % 4 = {n} % 4",
    "UPDATE public.visit SET noise = public.noise(64) WHERE no % 5 = {n} % 5",
    "UPDATE public.visit SET noise = noise",
    "UPDATE public.shop SET id = (SELECT max(id) FROM public.shop) + 1
     WHERE id = (SELECT id FROM public.shop WHERE id > 0 ORDER BY id OFFSET {n} % 5 LIMIT 1)",
    "DELETE FROM public.visit WHERE no > 100000; UPDATE public.visit SET no = no + 100000 WHERE no % 6 = {n} % 6",
    "DELETE FROM public.visit WHERE no % 7 = {n} % 7",
    "DELETE FROM public.shop WHERE id > 1 AND id % 8 = {n} % 8",
    "TRUNCATE public.visit",
    "UPDATE public.sales SET date = date + {n} % 3 - 1, region = region || '.' WHERE id % 3 = {n} % 3",
    "UPDATE public.sales SET id = id + 1000000 WHERE id = (SELECT min(id) FROM public.sales)",
    "DELETE FROM public.sales WHERE id % 5 = {n} % 5",
    "INSERT INTO public.shop VALUES (0, 'born'); DELETE FROM public.shop WHERE id = 0",
    "SAVEPOINT s; DELETE FROM public.visit; ROLLBACK TO s; UPDATE public.shop SET name = NULL WHERE id % 9 = {n} % 9",
];

/// One transaction of one to four statements; now and then it is rolled back.
pub(super) fn write(rng: &mut Rng, branch: &Node) -> String {
    if rng.u8(..4) == 0 {
        branch.sell("Ink");
        return "a sale".to_owned();
    }
    let statements: Vec<String> = (0..rng.usize(1..=4))
        .map(|_| STATEMENTS[rng.usize(..STATEMENTS.len())].replace("{n}", &rng.u32(..10_000).to_string()))
        .collect();
    let end = if rng.u8(..8) == 0 { "ROLLBACK" } else { "COMMIT" };
    let text = format!("BEGIN; {}; {end}", statements.join("; "));
    branch.sql(&text);
    text
}
