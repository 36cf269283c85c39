//! Steps that move devices and change fences and bindings.

use super::{Kind, Load, Step};
use crate::support::notation::words;

/// Devices of each fleet.
pub(crate) const DEVICES: usize = 5;
/// Fences lie on a grid of so many lines, a hundredth of a degree apart.
const GRID: i64 = 30;

impl Load {
    fn device(&mut self) -> String {
        format!("d{}", self.random.index(DEVICES))
    }

    fn point(&mut self) -> String {
        let (x, y) = (self.random.within(0..GRID), self.random.within(0..GRID));
        format!("13.{x:02} 52.{y:02}")
    }

    fn shape(&mut self) -> String {
        let (x, y) = (self.random.within(0..GRID), self.random.within(0..GRID));
        let (east, north) = (
            self.random.within(x + 1..GRID + 1),
            self.random.within(y + 1..GRID + 1),
        );
        match self.random.index(3) {
            0 => format!(
                "CIRCLE 13.{x:02} 52.{y:02} {}",
                self.random.within(100..9_000)
            ),
            1 => format!(
                "POLYGON 3 13.{x:02} 52.{y:02} 13.{east:02} 52.{y:02} 13.{x:02} 52.{north:02}"
            ),
            _ => format!("BBOX 13.{x:02} 52.{y:02} 13.{east:02} 52.{north:02}"),
        }
    }

    pub(super) fn fleet(&mut self) -> String {
        let (device, point, time) = (self.device(), self.point(), self.time());
        match self.random.index(20) {
            0..=8 => format!("IOT.TRACK @fleet {device} {point} TS {time}"),
            9 => {
                format!("IOT.TRACK @fleet {device} {point} TS {time} IFNEWER SPEED 20 FIELDS 1 a 5")
            }
            10..=13 => format!(
                "IOT.MTRACK @fleet {device} {point} {time} {} {} {}",
                self.device(),
                self.point(),
                self.time()
            ),
            14 => format!("IOT.UNTRACK @fleet {device} {}", self.device()),
            15..=17 => format!(
                "IOT.FENCE ADD @zones z{} {}",
                self.random.index(8),
                self.shape()
            ),
            18 => format!(
                "IOT.FENCE DEL @zones z{} z{}",
                self.random.index(8),
                self.random.index(8)
            ),
            _ => format!("IOT.FLEET ALTER @fleet TRAIL {}", self.random.within(0..9)),
        }
    }

    /// What the clock and the timer have a part in. Times are those of fixes, and only grow.
    pub(super) fn loose(&mut self) -> Step {
        self.now_ms += self.random.within(1..2_000);
        let (device, point, time) = (self.device(), self.point(), self.now_ms);
        let fence = self.random.index(6);
        let lines = match self.random.index(20) {
            0..=6 => vec![format!("IOT.TRACK @loose {device} {point} TS {time}")],
            7 | 8 => vec![format!(
                "IOT.TRACK @loose {device} {point} TS {time} EXPIRE 40"
            )],
            9 | 10 => vec![format!(
                "IOT.MTRACK @loose d0 {point} {time} d1 {point} {time}"
            )],
            11 => vec![format!("IOT.UNTRACK @loose {device}")],
            12 | 13 => vec![format!(
                "IOT.FENCE ADD @areas a{fence} {} DETECT enter exit dwell DWELL 20",
                self.shape()
            )],
            14 => vec![format!(
                "IOT.FENCE ADD @areas a{fence} {} EXPIRE 50",
                self.shape()
            )],
            15 => vec![format!("IOT.FENCE DEL @areas a{fence}")],
            16 => vec!["IOT.FENCE UNBIND @loose @areas".into()],
            17 => vec!["IOT.FENCE BIND @loose @areas STREAM @later".into()],
            18 => vec!["RENAME @areas @spare".into(), "RENAME @spare @areas".into()],
            _ => vec![
                "IOT.ROAM UNBIND @loose @loose".into(),
                "IOT.ROAM BIND @loose @loose RADIUS 900 STREAM @meet".into(),
            ],
        };
        let mut step = self.certain("");
        step.requests = lines.iter().map(|line| words(&self.own(line))).collect();
        if step.requests.len() > 1 {
            step.requests.insert(0, words("MULTI"));
            step.requests.push(words("EXEC"));
        }
        step.kind = Kind::Loose;
        step
    }
}
