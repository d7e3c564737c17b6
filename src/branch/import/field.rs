//! The named texts that make a sale, before anybody has looked at them.

/// The texts that make a sale, in the order of the table's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The business day.
    Date,
    /// Where it was sold.
    Region,
    /// What was sold.
    Product,
    /// How many; negative for a return.
    Qty,
    /// Price of one.
    Cost,
    /// `Qty * Cost`.
    Amt,
    /// The tax on `Amt`.
    Tax,
    /// `Amt + Tax`.
    Total,
}

impl Field {
    /// All of them, in order.
    pub const ALL: [Self; 8] =
        [Self::Date, Self::Region, Self::Product, Self::Qty, Self::Cost, Self::Amt, Self::Tax, Self::Total];

    /// The name as a user writes it; case does not matter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Date => "Date",
            Self::Region => "Region",
            Self::Product => "Product",
            Self::Qty => "Qty",
            Self::Cost => "Cost",
            Self::Amt => "Amt",
            Self::Tax => "Tax",
            Self::Total => "Total",
        }
    }

    /// The field of that name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name().eq_ignore_ascii_case(name))
    }

    /// Whether it has to be given; the others are computed if they are not.
    pub fn is_required(self) -> bool {
        !matches!(self, Self::Amt | Self::Tax | Self::Total)
    }
}

/// The texts of one sale by field; a field that was never set is empty, which is the same as missing.
#[derive(Debug, Clone, Copy, Default)]
pub struct SaleText<'a>([&'a str; Field::ALL.len()]);

impl<'a> SaleText<'a> {
    /// Sets the text of `field`.
    pub fn set(&mut self, field: Field, text: &'a str) {
        self.0[field as usize] = text;
    }

    /// The text of `field`, without white space around it.
    pub fn get(&self, field: Field) -> &'a str {
        self.0[field as usize].trim()
    }
}
