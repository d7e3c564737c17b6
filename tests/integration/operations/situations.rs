//! The situations of the document, in its order.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use super::Situation;
use super::Step::{Happens, Shows};
use super::title_of;
use super::world::World;
use crate::enrolled::public_key;
use crate::servers::{fresh_database, fresh_vhost};

/// Declares the situations, each with a test.
macro_rules! situations {
    ($($name:ident = $situation:expr;)+) => {
        pub(super) const TITLES: &[&str] = &[$(stringify!($name),)+];

        $(#[test]
        fn $name() {
            $situation.play(&title_of(stringify!($name)));
        })+
    };
}

situations! {
    every_sale_of_yesterday_is_there = Situation {
        branches: &["east", "west"],
        steps: &[
            Shows(&["head$ salesync status --check", "head$ salesync compare --day 2021-05-02"]),
            Happens(|world| world.head().sql("DELETE FROM public.sales WHERE branch = 'west'")),
            Shows(&["head$ salesync compare --day 2021-05-02"]),
            Shows(&["west$ salesync bundle --since all"]),
            Shows(&["head$ salesync apply", "head$ salesync compare --day 2021-05-02"]),
        ],
    };

    a_branch_is_late = Situation {
        branches: &["east", "west"],
        steps: &[
            Happens(|world| {
                world.head().sql(
                    "UPDATE salesync.branch SET last_applied_at = last_applied_at - interval '2 days', known_since = '2026-01-01' WHERE name = 'east'",
                );
                (0..3).for_each(|_| world.east().sell("Pens"));
            }),
            Shows(&["head$ salesync status --check"]),
            Shows(&["east$ salesync status"]),
            Shows(&["east$ salesync bundle"]),
            Shows(&["head$ salesync apply", "head$ salesync status --check"]),
        ],
    };

    a_gap = Situation {
        branches: &["east"],
        steps: &[
            Happens(|world| {
                world.sells_and_bundles("east");
                world.loses_message("east");
                world.sells_and_bundles("east");
            }),
            Shows(&["head$ salesync apply", "head$ salesync status --check"]),
            Shows(&["east$ salesync bundle"]),
            Shows(&["head$ salesync apply", "head$ salesync status --check"]),
            Shows(&["east$ salesync bundle", "east$ salesync status"]),
        ],
    };

    a_bundle_is_held = Situation {
        branches: &["east", "north", "west"],
        steps: &[
            Happens(|world| {
                world.sells_and_bundles("east");
                world.loses_message("east");
                world.sells_and_bundles("east");
                world.has_sold("north", 1999);
                world.branch("north").sql("DELETE FROM public.sales");
                world.branch("north").run(&["bundle"]).ok();
                world.branch("west").sql("ALTER TABLE public.sales ALTER qty TYPE bigint");
                world.sells_and_bundles("west");
                world.head().run(&["apply"]).exits(3);
            }),
            Shows(&["head$ salesync status --check"]),
        ],
    };

    a_bundle_would_delete_much = Situation {
        branches: &["east", "west"],
        steps: &[
            Happens(|world| {
                for name in ["east", "west"] {
                    world.has_sold(name, 1999);
                    world.branch(name).sql(
                        "CREATE TABLE public.backup AS TABLE public.sales; DELETE FROM public.sales WHERE id > 100",
                    );
                    world.branch(name).run(&["bundle"]).ok();
                }
            }),
            Shows(&["head$ salesync apply", "head$ salesync status --check"]),
            Shows(&["head$ salesync approve east 3 --reason 'old sales were moved to the archive'"]),
            Shows(&["head$ salesync reject west 3 --reason 'the wrong backup was restored'"]),
            Shows(&["west$ salesync bundle"]),
            Happens(|world| world.branch("west").sql(
                    "INSERT INTO public.sales OVERRIDING SYSTEM VALUE TABLE public.backup ON CONFLICT DO NOTHING",
                )),
            Shows(&["west$ salesync bundle --since all"]),
            Shows(&["head$ salesync apply", "head$ salesync status --check"]),
        ],
    };

    the_schema_has_changed = Situation {
        branches: &["east", "west"],
        steps: &[
            Happens(|world| {
                for name in ["east", "west"] {
                    world.branch(name).sql("ALTER TABLE public.sales ADD COLUMN note text");
                    world.has_sold(name, 1);
                }
                world.branch("east").sql("ALTER TABLE public.sales ALTER qty TYPE bigint");
                world.branch("west").sql("ALTER TABLE public.sales DROP COLUMN note");
                world.sells_and_bundles("east");
                world.sells_and_bundles("west");
            }),
            Shows(&["head$ salesync apply"]),
            Shows(&[
                "head$ psql -c 'ALTER TABLE public.sales ALTER COLUMN qty TYPE bigint'",
                "head$ salesync apply",
            ]),
            Shows(&["head$ salesync approve west 3 --reason 'nobody used it'", "head$ salesync status --check"]),
        ],
    };

    head_office_refuses_a_row = Situation {
        branches: &["east"],
        steps: &[
            Happens(|world| {
                world.head().sql("ALTER TABLE public.sales ADD CONSTRAINT known_product CHECK (product IN ('Ink', 'Pens'))");
                (0..2).for_each(|_| world.sells_and_bundles("east"));
            }),
            Shows(&["head$ salesync apply", "head$ salesync status --check"]),
            Shows(&[
                "head$ psql -Atc \"SELECT file FROM salesync.incident WHERE branch = 'east' AND resolved_at IS NULL\"",
                "head$ salesync inspect /var/lib/salesync/bundles/_rejected/east/*.bundle --rows",
            ]),
            Shows(&["head$ psql -c 'ALTER TABLE public.sales DROP CONSTRAINT known_product'"]),
            Shows(&["head$ salesync retry east", "head$ salesync status --check"]),
        ],
    };

    a_branch_was_restored = Situation {
        branches: &["east"],
        steps: &[
            Happens(|world| {
                let last_nights = world.dump_of_east();
                world.sells_and_bundles("east");
                world.head().run(&["apply"]).ok();
                world.moves("east", last_nights);
            }),
            Shows(&["east$ salesync bundle"]),
            Shows(&["head$ psql -c \"SELECT id, date, product, total FROM public.sales WHERE branch = 'east' ORDER BY id\""]),
            Happens(|world| world.east().sell("Paper")),
            Shows(&["east$ salesync bundle --since all"]),
            Shows(&["head$ salesync apply", "head$ salesync compare east"]),
        ],
    };

    head_office_is_lost = Situation {
        branches: &["east", "west"],
        steps: &[
            Happens(World::loses_head_offices_database),
            Shows(&["head$ salesync status"]),
            Shows(&["head$ salesync init", "head$ salesync apply", "head$ salesync compare"]),
            Happens(|world| {
                world.loses_head_offices_database();
                fs::remove_dir_all(world.head().folder.join("bundles")).unwrap();
            }),
            Shows(&["east$ cp -r /var/lib/salesync/bundles/east /media/usb"]),
            Shows(&[
                "head$ salesync init",
                "head$ salesync replay /media/usb",
                "head$ salesync request west --full",
            ]),
            Shows(&["west$ salesync bundle"]),
            Shows(&["head$ salesync apply", "head$ salesync compare"]),
        ],
    };

    a_branch_moves_to_a_new_machine = Situation {
        branches: &["east"],
        steps: &[
            Happens(|world| world.east().sell("Pens")),
            Shows(&["east$ salesync bundle"]),
            Shows(&["head$ salesync apply", "head$ cp -r /var/lib/salesync/bundles/east /media/usb"]),
            Happens(|world| world.moves("new-east", fresh_database())),
            Shows(&["east$ salesync replay --into-branch /media/usb", "east$ salesync bundle"]),
            Shows(&["head$ salesync apply", "head$ salesync compare east", "head$ salesync status --check"]),
        ],
    };

    a_bundle_travels_by_stick = Situation {
        branches: &["east"],
        steps: &[
            Happens(|world| world.east().sell("Pens")),
            Shows(&["east$ salesync bundle --offline", "east$ cp -r /var/lib/salesync/bundles/east /media/usb"]),
            Shows(&["head$ salesync verify /media/usb"]),
            Shows(&["head$ salesync apply --check /media/usb/east/*/0000000002.bundle"]),
            Shows(&["head$ salesync apply /media/usb/east/*/*.bundle", "head$ salesync status --check"]),
            Shows(&["east$ salesync bundle"]),
            Shows(&["head$ salesync apply"]),
            Shows(&["east$ salesync bundle", "east$ salesync status"]),
        ],
    };

    a_bundle_is_not_signed_by_its_branch = Situation {
        branches: &[],
        steps: &[
            Happens(|world| {
                world.signs();
                world.east().run(&["keygen", "--out", "new.key"]).ok();
                world.signs_with("new.key");
                world.sells_and_bundles("east");
            }),
            Shows(&["head$ salesync apply", "head$ salesync status --check"]),
            Shows(&["east$ salesync keygen --public /var/lib/salesync/signing.key"]),
            Happens(|world| world.knows_key("")),
            Shows(&["head$ salesync retry east", "head$ salesync status --check"]),
            Shows(&["east$ salesync bundle"]),
        ],
    };

    a_key_was_stolen = Situation {
        branches: &[],
        steps: &[
            Happens(|world| {
                world.signs();
                world.steals_key();
            }),
            Shows(&["head$ salesync apply /media/usb/*.bundle"]),
            Shows(&["head$ psql -c \"SELECT epoch, sequence, state, key_id FROM salesync.bundle WHERE branch = 'east'\""]),
            Shows(&["east$ salesync keygen --out /var/lib/salesync/new.key"]),
            Happens(|world| {
                let old = public_key(world.east());
                world.signs_with("new.key");
                world.knows_key(&format!("{{ key = \"{old}\", revoked_at = 2026-01-01T00:00:00Z }}, "));
            }),
            Shows(&["east$ salesync bundle --since all"]),
            Shows(&["head$ salesync apply", "head$ salesync compare east"]),
        ],
    };

    branches_come_and_go = Situation {
        branches: &[],
        steps: &[
            Happens(|world| world.has_a_machine_to_enrol("harbour")),
            Shows(&[
                "head$ salesync enroll harbour --out harbour.toml",
                "head$ sudo rabbitmqctl -q import_definitions < /var/lib/salesync/harbour.broker.json",
                "head$ cp harbour.toml /media/usb",
            ]),
            Shows(&["harbour$ salesync join /media/usb/harbour.toml --dir /etc/salesync --database 'postgres:///harbour?host=/var/run/postgresql' --with-sales"]),
            Shows(&["head$ salesync status", "head$ salesync enroll harbour --confirm {key}"]),
            Happens(|world| {
                world.is_believed();
                world.east().sell("Ink");
            }),
            Shows(&["harbour$ salesync join", "harbour$ salesync sync"]),
            // Another key.
            Shows(&["harbour$ salesync keygen --out /etc/salesync/harbour-2.key"]),
            Shows(&["head$ salesync enroll harbour --confirm {key}"]),
            Shows(&["harbour$ sed -i 's/signing.key/harbour-2.key/' /etc/salesync/salesync.toml"]),
            Happens(|world| {
                world.is_believed();
                world.east().sell("Pens");
            }),
            Shows(&["harbour$ salesync sync"]),
            Happens(|world| world.revokes_first_key()),
            Shows(&["head$ cat /etc/salesync/branches.d/harbour.toml"]),
            // A machine was stolen.
            Shows(&[
                "head$ salesync revoke harbour --since 2026-11-20T18:00:00Z",
                "head$ sudo rabbitmqctl -q delete_user harbour",
                "head$ psql -c \"SELECT sequence, state, key_id FROM salesync.bundle WHERE branch = 'harbour' AND received_at >= '2026-11-20T18:00:00Z'\"",
            ]),
            Shows(&[
                "head$ salesync enroll harbour --again --out harbour-again.toml",
                "head$ sudo rabbitmqctl -q import_definitions < /var/lib/salesync/harbour-again.broker.json",
                "head$ cp -r harbour-again.toml /var/lib/salesync/bundles/harbour /media/usb",
            ]),
            Happens(World::gets_another_machine),
            Shows(&["harbour$ salesync join /media/usb/harbour-again.toml --dir /etc/salesync --database 'postgres:///harbour?host=/var/run/postgresql' --with-sales"]),
            Shows(&["head$ salesync enroll harbour --confirm {key}", "head$ grep revoked_at /etc/salesync/branches.d/harbour.toml"]),
            Happens(|world| world.is_believed()),
            Shows(&["harbour$ salesync replay --into-branch /media/usb/harbour --key {key}", "harbour$ salesync sync"]),
            Shows(&["head$ salesync compare harbour", "head$ salesync status --check"]),
            // It leaves.
            Happens(|world| world.east().sell("Tape")),
            Shows(&["harbour$ salesync leave"]),
            Shows(&["harbour$ salesync sync", "harbour$ salesync leave --dry-run", "harbour$ salesync leave"]),
            Shows(&["head$ salesync revoke harbour", "head$ salesync status --check"]),
        ],
    };

    the_broker_is_away = Situation {
        branches: &["east"],
        steps: &[
            Happens(|world| {
                world.east().sell("Pens");
                world.loses_broker();
            }),
            Shows(&["east$ salesync bundle"]),
            Happens(|world| world.calls(&world.company.broker_url.replace(":sandbox@", ":wrong@"))),
            Shows(&["east$ salesync bundle"]),
            Happens(|world| world.calls(&fresh_vhost())),
            Shows(&["east$ salesync bundle"]),
            Happens(|world| world.calls(&world.company.broker_url)),
            Shows(&["east$ salesync bundle"]),
        ],
    };

    the_broker_is_lost = Situation {
        branches: &["east"],
        steps: &[
            Happens(|world| {
                world.sells_and_bundles("east");
                world.gets_another_broker();
                world.east().sell("Pens");
            }),
            Shows(&["head$ salesync init"]),
            Shows(&["east$ salesync bundle"]),
            Shows(&["head$ salesync apply"]),
            Shows(&["east$ salesync bundle"]),
            Shows(&["head$ salesync apply", "head$ salesync status --check"]),
        ],
    };

    a_disk_is_full = Situation {
        branches: &["east"],
        steps: &[
            Happens(|world| {
                world.east().sql(
                    "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
                     SELECT '2021-05-02', 'East', md5(n::text), 1, 1, 1, 0, 1 FROM generate_series(1, 2000) n",
                );
                world.fills_disk();
            }),
            Shows(&["east$ salesync bundle", "east$ salesync status"]),
            Happens(World::frees_disk),
            Shows(&["east$ salesync bundle"]),
        ],
    };

    the_archive_grows = Situation {
        branches: &["east"],
        steps: &[
            Happens(|world| {
                world.sells_and_bundles("east");
                world.head().run(&["apply"]).ok();
                world.east().run(&["bundle", "--since", "all"]).ok();
                world.head().run(&["apply"]).ok();
                let year = Duration::from_hours(24 * 365);
                for file in world.east().bundles().iter().chain(&world.head().bundles()) {
                    let file = File::options().write(true).open(file).unwrap();
                    file.set_modified(SystemTime::now() - year).unwrap();
                }
                world.sells_and_bundles("east");
            }),
            Shows(&["head$ salesync prune --dry-run", "head$ salesync prune", "head$ salesync verify /var/lib/salesync/bundles"]),
        ],
    };

    the_window_is_too_short = Situation {
        branches: &["east"],
        steps: &[
            Happens(|world| {
                world.gets_line().slows_to(32 << 10);
                world.has_small_bundles();
                world.east().sql(
                    "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
                     SELECT '2021-05-02', 'East', md5(n::text) || md5(random()::text), 1, 1, 1, 0, 1
                     FROM generate_series(1, 40000) n",
                );
            }),
            Shows(&["east$ salesync bundle --for 8s --quiet", "east$ salesync status | grep 'not proven'"]),
            Happens(|world| world.is_repaired()),
            Shows(&["east$ salesync bundle --for 10m --quiet"]),
            Shows(&["head$ salesync apply --quiet", "head$ salesync compare east"]),
        ],
    };

    head_office_runs_as_a_service = Situation {
        branches: &["east"],
        steps: &[
            Happens(|world| {
                world.has_sold("east", 1999);
                world.starts("head$ salesync apply --follow -v");
                world.sells_and_bundles("east");
                world.has_said("east 3: applied");
                world.east().sql("DELETE FROM public.sales");
                world.east().run(&["bundle"]).ok();
                world.has_said("east 4: held");
            }),
            Shows(&["head$ salesync apply"]),
            Shows(&["head$ salesync approve east 4 --reason 'the shop was closed'"]),
            Happens(|world| world.has_said("east 4: applied")),
            Shows(&["head$ salesync apply --follow -v"]),
        ],
    };
}
