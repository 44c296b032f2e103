//! What operations are told beside their numbers, as graphs say it too.

/// Which pairs of a head rotary position embedding turns (RoFormer, arXiv 2104.09864).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RopeLayout {
    /// Neighbours `(2i, 2i + 1)`: llama2.c, and GGUF files of the `llama` architecture (their q and k rows are permuted).
    Interleaved,
    /// Halves `(i, i + n/2)`: Hugging Face safetensors, and GGUF's "neox" architectures (Qwen, Gemma …).
    HalfSplit,
}

/// A batch of pictures as rows, channels last: pixel `(y, x)` of picture `n` is row `(n · height + y) · width + x` of a value
/// `[batch · height · width, channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grid {
    pub batch: usize,
    pub height: usize,
    pub width: usize,
}

impl Grid {
    pub fn new(batch: usize, height: usize, width: usize) -> Self {
        Self { batch, height, width }
    }

    /// Pixels of all pictures.
    pub fn rows(&self) -> usize {
        self.batch * self.height * self.width
    }

    /// Every side `factor` times as long.
    pub fn times(&self, factor: usize) -> Self {
        Self { batch: self.batch, height: self.height * factor, width: self.width * factor }
    }
}

/// The window of a convolution over the pictures of a [`Grid`], in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    pub height: usize,
    pub width: usize,
    pub stride: usize,
    /// Pixels from one that it reads to the next, on both sides; 1 leaves none out (arXiv 1511.07122).
    pub dilation: usize,
    /// Zeros around the picture: top, bottom, left, right.
    pub padding: [usize; 4],
}

impl Window {
    /// A square of `side` that moves by `stride`, with `padding` zeros on every edge.
    pub fn square(side: usize, stride: usize, padding: usize) -> Self {
        Self { height: side, width: side, stride, dilation: 1, padding: [padding; 4] }
    }

    /// One line of `width`, for sequences as pictures of one row; `padding` is the zeros before and after.
    pub fn line(width: usize, stride: usize, dilation: usize, [before, after]: [usize; 2]) -> Self {
        Self { height: 1, width, stride, dilation, padding: [0, 0, before, after] }
    }

    /// A line that sees nothing of what comes after: as many zeros before a sequence as keep its length (arXiv 1609.03499).
    pub fn causal(width: usize, dilation: usize) -> Self {
        Self::line(width, 1, dilation, [width.saturating_sub(1) * dilation, 0])
    }

    /// Pixels it reads.
    pub fn area(&self) -> usize {
        self.height * self.width
    }

    /// Pixels from the first to the last of `side` that it reads; `None` where there are none.
    fn span(&self, side: usize) -> Option<usize> {
        if self.dilation == 0 { None } else { side.checked_sub(1)?.checked_mul(self.dilation)?.checked_add(1) }
    }

    /// Sides of a picture after a convolution; `None` where the window does not fit, or does not move.
    pub fn output(&self, input: Grid) -> Option<Grid> {
        let [top, bottom, left, right] = self.padding;
        let side = |length: usize, before: usize, after: usize, window: usize| {
            let room = length.checked_add(before)?.checked_add(after)?.checked_sub(self.span(window)?)?;
            room.checked_div(self.stride)?.checked_add(1)
        };
        let height = side(input.height, top, bottom, self.height)?;
        let width = side(input.width, left, right, self.width)?;
        Some(Grid { batch: input.batch, height, width })
    }

    /// Sides of a picture after a transposed convolution: `(side - 1) · stride + (window - 1) · dilation + 1 - padding`.
    pub fn transposed_output(&self, input: Grid) -> Option<Grid> {
        let [top, bottom, left, right] = self.padding;
        let side = |length: usize, cut: usize, window: usize| {
            let whole = length.checked_sub(1)?.checked_mul(self.stride)?.checked_add(self.span(window)?)?;
            whole.checked_sub(cut).filter(|side| *side > 0 && self.stride > 0)
        };
        let height = side(input.height, top + bottom, self.height)?;
        let width = side(input.width, left + right, self.width)?;
        Some(Grid { batch: input.batch, height, width })
    }
}

/// Functions of one value, element by element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unary {
    /// `x · sigmoid(x)`
    Silu,
    /// The tanh approximation (arXiv 1606.08415).
    GeluTanh,
    /// `x · Φ(x)` by the error function (arXiv 1606.08415).
    Gelu,
    /// `x · sigmoid(1.702 x)`, as CLIP has it.
    QuickGelu,
    /// `x` where it is positive, else `slope · x`; a slope of 0 is the plain ReLU.
    LeakyRelu {
        slope: f32,
    },
    Tanh,
    Sigmoid,
    /// `e^x`
    Exp,
    /// The natural logarithm.
    Log,
    Sqrt,
    Sin,
    /// `scale · x + shift`
    Affine {
        scale: f32,
        shift: f32,
    },
}

/// Functions of two values of one shape, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binary {
    Add,
    /// The first minus the second.
    Sub,
    Mul,
    /// The first by the second.
    Div,
}

impl Binary {
    /// Whether the order of the two values is of no matter.
    pub fn commutes(self) -> bool {
        matches!(self, Self::Add | Self::Mul)
    }
}

/// A recurrent cell: what becomes of its state `h` (and of an LSTM's memory `c`) when it meets a row. `x` are the rows' projections
/// and `u` those of `h`, both with their biases; a gate's share is as wide as `h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Gates i, f, g, o, as PyTorch stores them: `c = σ(f) · c + σ(i) · tanh(g)`, `h = σ(o) · tanh(c)` of `x + u` (arXiv 1402.1128).
    Lstm,
    /// Gates r, z, n: `h = (1 − z) · tanh(xₙ + r · uₙ) + z · h` with `r`, `z` of `σ(x + u)` (arXiv 1406.1078, as PyTorch and cuDNN
    /// have it).
    Gru,
    /// `h = tanh(x + u)` (Elman, 1990).
    Tanh,
}

impl Cell {
    pub fn name(self) -> &'static str {
        match self {
            Self::Lstm => "lstm",
            Self::Gru => "gru",
            Self::Tanh => "rnn",
        }
    }

    /// How many times as wide as the state a projection is.
    pub fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
            Self::Tanh => 1,
        }
    }
}

/// What becomes of the rows of a member of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pooling {
    Mean,
    Max,
    First,
    Last,
}
