//! Foreign keys, at the branch and at head office: no prefix of the bundles may break one.

use super::{agree, company_of, toml};
use crate::company::DELETES_ANYTHING;

/// By name, and so in the order in which they are tracked, children come before their parents.
const TABLES: &str = "
    CREATE TABLE public.c_region (id text PRIMARY KEY, boss text REFERENCES public.c_region DEFERRABLE);
    CREATE TABLE public.b_shop (id int PRIMARY KEY, region text NOT NULL REFERENCES public.c_region ON UPDATE CASCADE ON DELETE CASCADE);
    CREATE TABLE public.a_sale (id bigint PRIMARY KEY, shop int REFERENCES public.b_shop ON UPDATE CASCADE ON DELETE SET NULL,
                                note text);
    INSERT INTO public.c_region VALUES ('north', NULL), ('south', 'north');
    INSERT INTO public.b_shop SELECT n, CASE WHEN n % 2 = 0 THEN 'north' ELSE 'south' END FROM generate_series(1, 20) n;
    INSERT INTO public.a_sale SELECT n, n % 20 + 1, md5(n::text) FROM generate_series(1, 6000) n";

const AT_HEAD_OFFICE: &str = "
    ALTER TABLE public.b_shop ADD FOREIGN KEY (branch, region) REFERENCES public.c_region;
    ALTER TABLE public.a_sale ADD FOREIGN KEY (branch, shop) REFERENCES public.b_shop;
    ALTER TABLE public.c_region ADD FOREIGN KEY (branch, boss) REFERENCES public.c_region";

const TRACKED: [&str; 3] = ["public.a_sale", "public.b_shop", "public.c_region"];

const STEPS: &[&str] = &[
    "INSERT INTO public.c_region VALUES ('west', 'south'); INSERT INTO public.b_shop VALUES (100, 'west');
     INSERT INTO public.a_sale SELECT n, 100, md5(n::text) FROM generate_series(10001, 26000) n",
    // A parent's key changes, and its children's with it.
    "UPDATE public.b_shop SET id = id + 1000 WHERE id < 10; UPDATE public.c_region SET boss = NULL; UPDATE public.c_region SET id = 'east' WHERE id = 'west'",
    // A family goes.
    "DELETE FROM public.c_region WHERE id = 'east'; DELETE FROM public.a_sale WHERE shop IS NULL",
    "BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO public.c_region VALUES ('x', 'y'), ('y', 'x'); COMMIT",
    "TRUNCATE public.c_region CASCADE; INSERT INTO public.c_region VALUES ('last', 'last')",
];

#[test]
fn references_hold_at_head_office_after_every_bundle() {
    let company = company_of(&["east"], &TRACKED, TABLES);
    company.head_office.configure("role = \"head-office\"", &company.broker_url, DELETES_ANYTHING);
    let east = company.branch();
    // So small that every change set is many bundles.
    let options = format!("{}\n[bundle]\nmax_bytes = \"64 KiB\"", toml(&TRACKED));
    east.configure("role = \"branch\"", &company.broker_url, &options);
    company.sync();
    agree(&company, &TRACKED);
    company.head_office.sql(AT_HEAD_OFFICE);
    for step in STEPS {
        east.sql(step);
        east.run(&["bundle", "--offline"]).ok();
        for bundle in east.bundles() {
            company.head_office.run(&["apply", bundle.to_str().unwrap()]).ok();
        }
        agree(&company, &TRACKED);
    }
    assert!(east.bundles().len() > STEPS.len() + 5, "nothing was split");
}

#[test]
fn a_new_epoch_deletes_children_before_their_parents() {
    let company = company_of(&["east"], &TRACKED, TABLES);
    company.head_office.configure("role = \"head-office\"", &company.broker_url, DELETES_ANYTHING);
    company.sync();
    company.head_office.sql(AT_HEAD_OFFICE);
    company.branch().sql(
        "DELETE FROM public.a_sale WHERE id % 3 = 0 OR shop = 4; DELETE FROM public.b_shop WHERE id = 4;
         DELETE FROM public.a_sale WHERE shop % 2 = 1; DELETE FROM public.c_region WHERE id = 'south';
         INSERT INTO public.c_region VALUES ('new', 'north'); INSERT INTO public.b_shop VALUES (4, 'new');
         INSERT INTO public.a_sale VALUES (3, 4, 'new')",
    );
    company.branch().run(&["bundle", "--since", "all"]).ok();
    company.head_office.run(&["apply"]).ok();
    agree(&company, &TRACKED);
}
