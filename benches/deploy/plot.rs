//! Draws the growth as an SVG: two panels with the time over the number, each with its floor.
//!
//! A library would bring more code than this file, and its own fonts. A reader's system has the fonts that are named
//! here, and the picture follows its light or dark mode.

use std::fmt::Write as _;

/// One panel. The points are numbers of things, each with its seconds.
pub struct Panel {
    pub title: &'static str,
    /// What is counted.
    pub things: &'static str,
    pub measured: Vec<(f64, f64)>,
    /// The floor of every number: it changes in steps.
    pub floor: Vec<(f64, f64)>,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 400.0;
/// The area of a panel's curves: what is around it is for the labels.
const AREA_WIDTH: f64 = 380.0;
const AREA_HEIGHT: f64 = 260.0;
const AREA_TOP: f64 = 84.0;
/// The left edges of the two areas.
const AREAS: [f64; 2] = [70.0, 550.0];
/// The most lines of a grid on one axis: more are too close for their labels.
const MAX_TICKS: f64 = 6.0;

/// The colors of the code host's own pages, in its light and its dark mode. The picture has a background of its own, so
/// that it can be read if a viewer takes the other mode than the page.
const STYLE: &str = "\
    .page { fill: #ffffff; stroke: #d1d9e0; }
    .title { fill: #1f2328; font-size: 15px; font-weight: 600; }
    .label { fill: #59636e; font-size: 12.5px; }
    .grid { stroke: #d1d9e0; }
    .axis { stroke: #59636e; }
    .floor { fill: none; stroke: #bc4c00; stroke-width: 2; }
    .measured { fill: none; stroke: #0969da; stroke-width: 2; stroke-dasharray: 2 4; }
    .dot { fill: #0969da; }
    .middle { text-anchor: middle; }
    .end { text-anchor: end; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #3d444d; }
      .title { fill: #e6edf3; }
      .label { fill: #9198a1; }
      .grid { stroke: #3d444d; }
      .axis { stroke: #9198a1; }
      .floor { stroke: #f0883e; }
      .measured { stroke: #58a6ff; }
      .dot { fill: #58a6ff; }
    }
";

/// Draws the panels side by side.
pub fn svg(panels: &[Panel; 2]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\" font-family=\"system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\">\n\
         <title>The time of a deployment over the number of clients and of stacks</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
        WIDTH - 1.0,
        HEIGHT - 1.0,
    );
    svg += &legend();
    for (panel, left) in panels.iter().zip(AREAS) {
        svg += &draw(panel, left);
    }
    svg + "</svg>\n"
}

fn legend() -> String {
    let [left, _] = AREAS;
    let (line, text) = (26.0, 30.0);
    format!(
        "<path class=\"measured\" d=\"M{left} {line} h36\"/><circle class=\"dot\" cx=\"{}\" cy=\"{line}\" r=\"4\"/>\n\
         <text class=\"label\" x=\"{}\" y=\"{text}\">measured: the median, with 50 ms a call</text>\n\
         <path class=\"floor\" d=\"M{} {line} h36\"/>\n\
         <text class=\"label\" x=\"{}\" y=\"{text}\">floor: the calls that need each other, and Cognito's quota of five \
         calls a second</text>\n",
        left + 18.0,
        left + 44.0,
        left + 320.0,
        left + 364.0,
    )
}

fn draw(panel: &Panel, left: f64) -> String {
    let Panel { title, things, measured, floor } = panel;
    let scale = Scale::of(panel, left);
    let (middle, bottom) = (left + AREA_WIDTH / 2.0, AREA_TOP + AREA_HEIGHT);
    let mut svg = format!("<text class=\"title middle\" x=\"{middle}\" y=\"{}\">{title}</text>\n", AREA_TOP - 18.0);
    svg += &scale.grid();
    let _ = writeln!(svg, "<text class=\"label middle\" x=\"{middle}\" y=\"{}\">{things}</text>", bottom + 40.0);
    let (x, y) = (left - 44.0, AREA_TOP + AREA_HEIGHT / 2.0);
    let _ = writeln!(
        svg,
        "<text class=\"label middle\" transform=\"translate({x} {y}) rotate(-90)\">seconds until the last answer</text>"
    );
    let _ = writeln!(svg, "<path class=\"floor\" d=\"{}\"/>", scale.steps(floor));
    let _ = writeln!(svg, "<path class=\"measured\" d=\"{}\"/>", scale.line(measured));
    for (x, y) in scale.places(measured) {
        let _ = writeln!(svg, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>");
    }
    if let (Some(&last), Some(&(_, floor))) = (measured.last(), floor.last()) {
        let ((x, y), seconds) = (scale.place(last), last.1);
        let text = format!("{seconds:.1} s, {:.2} times its floor", seconds / floor);
        let _ = writeln!(svg, "<text class=\"label end\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>", x - 12.0, y + 4.0);
    }
    svg
}

/// Where the numbers of one panel are in the picture. Both axes begin with zero.
pub struct Scale {
    left: f64,
    /// The largest number and the longest time that fit.
    number: Axis,
    time: Axis,
}

struct Axis {
    tick: f64,
    end: f64,
}

impl Axis {
    /// Ends at the first line of the grid that is not below the largest value.
    fn up_to(largest: f64) -> Self {
        let tick = tick(largest);
        Self { tick, end: (largest / tick).ceil() * tick }
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        std::iter::successors(Some(0.0), |at| Some(at + self.tick)).take_while(|at| *at <= self.end)
    }
}

/// Returns the distance of a grid's lines: 1, 2 or 5 times a power of ten.
fn tick(largest: f64) -> f64 {
    let power = 10_f64.powf((largest / MAX_TICKS).log10().floor());
    let fits = |tick: &f64| largest / tick <= MAX_TICKS;
    [1.0, 2.0, 5.0].map(|step| step * power).into_iter().find(fits).unwrap_or(10.0 * power)
}

impl Scale {
    pub fn of(panel: &Panel, left: f64) -> Self {
        let points = || panel.measured.iter().chain(&panel.floor);
        let largest = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::MIN_POSITIVE, f64::max);
        Self { left, number: Axis::up_to(largest(|point| point.0)), time: Axis::up_to(largest(|point| point.1)) }
    }

    /// Returns the place of a number and its seconds.
    pub fn place(&self, (number, seconds): (f64, f64)) -> (f64, f64) {
        let Self { left, number: across, time: up } = self;
        (left + number / across.end * AREA_WIDTH, AREA_TOP + AREA_HEIGHT - seconds / up.end * AREA_HEIGHT)
    }

    fn places(&self, points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
        points.iter().map(|point| self.place(*point))
    }

    fn line(&self, points: &[(f64, f64)]) -> String {
        let points: Vec<_> = self.places(points).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        format!("M{}", points.join(" L"))
    }

    /// Holds each point's time until the next number.
    fn steps(&self, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        for (x, y) in self.places(points) {
            let _ = if path.is_empty() { write!(path, "M{x:.1} {y:.1}") } else { write!(path, " H{x:.1} V{y:.1}") };
        }
        path
    }

    /// Draws the lines of both axes with their numbers.
    fn grid(&self) -> String {
        let mut svg = String::new();
        let (right, bottom) = (self.left + AREA_WIDTH, AREA_TOP + AREA_HEIGHT);
        for number in self.number.ticks() {
            let (x, _) = self.place((number, 0.0));
            let _ = writeln!(svg, "<path class=\"axis\" d=\"M{x:.1} {bottom} v5\"/>");
            let _ = writeln!(svg, "<text class=\"label middle\" x=\"{x:.1}\" y=\"{}\">{number}</text>", bottom + 20.0);
        }
        for seconds in self.time.ticks() {
            let (left, y) = self.place((0.0, seconds));
            let class = if seconds == 0.0 { "axis" } else { "grid" };
            let _ = writeln!(svg, "<path class=\"{class}\" d=\"M{left} {y:.1} H{right}\"/>");
            let _ =
                writeln!(svg, "<text class=\"label end\" x=\"{}\" y=\"{:.1}\">{seconds}</text>", left - 8.0, y + 4.0);
        }
        svg
    }
}
