//! The plot that the benchmark draws of its growth.

#[path = "../../benches/deploy/plot.rs"]
mod plot;

use plot::{Panel, Scale, svg};

fn panel(measured: &[(f64, f64)], floor: &[(f64, f64)]) -> Panel {
    Panel { title: "Title", things: "clients", measured: measured.to_vec(), floor: floor.to_vec() }
}

#[test]
fn every_figure_of_the_plot_is_in_its_place() {
    // The axes end at 100 and at 25: the first lines of the grid that are not below the largest figures.
    let panel = panel(&[(1.0, 0.4), (50.0, 12.5), (100.0, 21.0)], &[(1.0, 0.3), (100.0, 19.0)]);
    let scale = Scale::of(&panel, 70.0);
    let (left, bottom) = scale.place((0.0, 0.0));
    let (right, top) = scale.place((100.0, 25.0));
    assert_eq!((left, right, top, bottom), (70.0, 450.0, 84.0, 344.0));
    assert_eq!(scale.place((50.0, 12.5)), (f64::midpoint(left, right), f64::midpoint(top, bottom)));
    let drawn = svg(&[panel, self::panel(&[(1.0, 1.0)], &[(1.0, 1.0)])]);
    let (x, y) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
    assert!(drawn.contains(&format!("<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>")), "{drawn}");
}

#[test]
fn the_floor_keeps_its_time_until_the_next_number() {
    let floor = [(0.0, 0.0), (1.0, 5.0), (2.0, 10.0)];
    let steps = svg(&[panel(&[(2.0, 10.0)], &floor), panel(&[(1.0, 1.0)], &[(1.0, 1.0)])]);
    let scale = Scale::of(&panel(&[(2.0, 10.0)], &floor), 70.0);
    let [(x0, y0), (x1, y1), (x2, y2)] = floor.map(|point| scale.place(point));
    let path = format!("d=\"M{x0:.1} {y0:.1} H{x1:.1} V{y1:.1} H{x2:.1} V{y2:.1}\"");
    assert!(steps.contains(&path), "{path} is not in {steps}");
}
