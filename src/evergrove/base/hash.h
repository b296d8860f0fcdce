// Counter-based random numbers: every random choice is a hash of what it is for.
//
// There is no stream and no state, so the choice for row 7 of tree 3 is the same whoever asks,
// in whatever order and on whatever machine.
//
//   RandomKey key(seed, "row sampling", iteration);
//   if (key.at(row_id) < threshold) ...
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace evergrove {

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64 bits.
constexpr uint64_t mix64(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  x ^= x >> 31;
  return x;
}

// FNV-1a, for purposes that are named by words.
constexpr uint64_t hash_name(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  return hash;
}

class RandomKey {
 public:
  constexpr RandomKey(uint64_t seed, std::string_view purpose, uint64_t index = 0)
      : key_(mix64(mix64(seed + kGamma) ^ mix64(hash_name(purpose) + kGamma * (index + 1)))) {}

  // Returns 64 uniform bits for the given counter.
  constexpr uint64_t at(uint64_t counter) const { return mix64(key_ + kGamma * (counter + 1)); }
  // The key itself, for kernels that inline at().
  constexpr uint64_t bits() const { return key_; }

  static constexpr uint64_t kGamma = 0x9e3779b97f4a7c15ULL;

 private:
  uint64_t key_;
};

// Returns the t for which `hash < t` holds with the given probability in [0, 1); a probability
// of 1 or more gives the largest value, which only one hash in 2^64 misses.
constexpr uint64_t hash_threshold(double probability) {
  if (!(probability > 0)) return 0;
  if (probability >= 1) return ~uint64_t{0};
  return static_cast<uint64_t>(probability * 18446744073709551616.0);
}

}  // namespace evergrove
