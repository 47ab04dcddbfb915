//! Numbers at fixed places of a header that was checked to be there: an offset
//! beyond the array does not pass the compiler's tests, and costs nothing.

/// Four bytes in network order.
#[inline(always)]
pub fn be32<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes(chunk(bytes, at))
}

/// Eight bytes in network order.
#[inline(always)]
pub fn be64<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    u64::from_be_bytes(chunk(bytes, at))
}

/// Eight bytes as a number whose lowest byte comes first.
#[inline(always)]
pub fn le64<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    u64::from_le_bytes(chunk(bytes, at))
}

/// `M` bytes as they lie there.
#[inline(always)]
pub fn chunk<const N: usize, const M: usize>(bytes: &[u8; N], at: usize) -> [u8; M] {
    let mut chunk = [0; M];
    chunk.copy_from_slice(&bytes[at..at + M]);
    chunk
}
