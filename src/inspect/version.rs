//! The order of versions, as `strverscmp` of the C library has it: numbers within the text compare as numbers.

use std::cmp::Ordering;

pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        match (digits(a), digits(b)) {
            ((x, rest_a), (y, rest_b)) if !x.is_empty() && !y.is_empty() => {
                let order = number(x).cmp(&number(y)).then(x.len().cmp(&y.len()));
                if order != Ordering::Equal {
                    return order;
                }
                (a, b) = (rest_a, rest_b);
            }
            _ => match (a.split_first(), b.split_first()) {
                (Some((x, rest_a)), Some((y, rest_b))) if x == y => (a, b) = (rest_a, rest_b),
                (x, y) => return x.map(|(byte, _)| byte).cmp(&y.map(|(byte, _)| byte)),
            },
        }
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

/// Numbers of any length: without leading zeros, the longer is the larger.
fn number(digits: &[u8]) -> (usize, &[u8]) {
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
    (digits.len() - zeros, &digits[zeros..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_comes_after_nine() {
        for (less, more) in
            [("9", "10"), ("ostree-2", "ostree-10"), ("", "0"), ("1", "1.1"), ("6.9.1", "6.12.0"), ("a", "b")]
        {
            assert_eq!(compare(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(compare(more, less), Ordering::Greater, "{more} {less}");
        }
        assert_eq!(compare("6.1", "6.1"), Ordering::Equal);
    }
}
