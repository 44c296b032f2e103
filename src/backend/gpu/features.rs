//! What kernels may use.

/// What the device was opened with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    pub subgroups: bool,
    /// The sizes a subgroup may have; zeros where there are none.
    pub subgroup_sizes: (u32, u32),
    pub f16: bool,
    pub timestamps: bool,
    /// The device is made of software: barriers and dispatches are dear there.
    pub software: bool,
}

impl Features {
    /// The same, but for subgroups.
    pub fn without_subgroups(self) -> Self {
        Self { subgroups: false, subgroup_sizes: (0, 0), ..self }
    }
}
