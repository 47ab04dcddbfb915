//! Reasons for which a frame has no effect, declared once each: the variant,
//! its counter's name and its line of help.

/// Makes an enum of reasons, numbered from 0 in the order of their counters, and
/// a test that no two have the same name.
macro_rules! reasons {
    ($(#[$doc:meta])* pub enum $reasons:ident {
        $($variant:ident = $name:literal, $help:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum $reasons {
            $(#[doc = $help] $variant,)*
        }

        impl $reasons {
            /// All of them, in the order of their counters.
            pub const ALL: &[$reasons] = &[$($reasons::$variant),*];
            pub const COUNT: usize = $reasons::ALL.len();

            /// Name of the counter.
            pub const fn name(self) -> &'static str {
                match self { $($reasons::$variant => $name),* }
            }

            /// One line for people who read the counter.
            pub const fn help(self) -> &'static str {
                match self { $($reasons::$variant => $help),* }
            }
        }

        #[cfg(test)]
        #[test]
        fn reasons_have_names_and_help() {
            let names: std::collections::HashSet<_> =
                $reasons::ALL.iter().map(|reason| reason.name()).collect();
            assert_eq!(names.len(), $reasons::COUNT);
            for (at, reason) in $reasons::ALL.iter().enumerate() {
                assert_eq!(*reason as usize, at);
                assert!(reason.help().ends_with('.'), "{}", reason.name());
            }
        }
    };
}
pub(crate) use reasons;
