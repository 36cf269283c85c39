//! The way from anywhere to anywhere: at each crossing a signpost for every destination.
//!
//! Vehicles plan a trip every few minutes, and a day of them is simulated before the demo begins. So
//! the shortest ways are found once (Dijkstra 1959, "A note on two problems in connexion with
//! graphs", on an array: O(crossings^2) a destination, 2 million steps in all), and a trip then
//! follows the signposts.

use crate::city::Street;

/// For each destination, at each crossing, the number of the street to take; none where one is there
/// already, or cannot get there.
pub(crate) type Signposts = Vec<Vec<Option<usize>>>;

/// The signposts of a city with so many crossings.
pub(crate) fn signposts(crossings: usize, streets: &[Street]) -> Signposts {
    let mut exits = vec![Vec::new(); crossings];
    for (number, street) in streets.iter().enumerate() {
        for end in street.ends {
            exits[end].push(number);
        }
    }
    (0..crossings)
        .map(|destination| signposts_to(destination, &exits, streets))
        .collect()
}

fn signposts_to(
    destination: usize,
    exits: &[Vec<usize>],
    streets: &[Street],
) -> Vec<Option<usize>> {
    let mut away_s = vec![f64::INFINITY; exits.len()];
    let mut is_settled = vec![false; exits.len()];
    let mut posts = vec![None; exits.len()];
    away_s[destination] = 0.0;
    while let Some(here) = (0..exits.len())
        .filter(|at| !is_settled[*at] && away_s[*at].is_finite())
        .min_by(|a, b| away_s[*a].total_cmp(&away_s[*b]))
    {
        is_settled[here] = true;
        for number in &exits[here] {
            let street = &streets[*number];
            let there = street.other_end(here);
            let time_s = away_s[here] + street.length_m / street.class.planned_mps();
            if time_s < away_s[there] {
                away_s[there] = time_s;
                posts[there] = Some(*number);
            }
        }
    }
    posts
}
