// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/content_hash.h"

#include "evergrove/base/hex.h"

#define XXH_INLINE_ALL
#include <arrow/vendored/xxhash/xxhash.h>

namespace evergrove::source {

struct ContentHash::State {
  XXH3_state_t state;
};

ContentHash::ContentHash() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->state);
}
ContentHash::~ContentHash() = default;
ContentHash::ContentHash(ContentHash&&) noexcept = default;
ContentHash& ContentHash::operator=(ContentHash&&) noexcept = default;

void ContentHash::update(const void* bytes, size_t byte_count) {
  XXH3_128bits_update(&state_->state, bytes, byte_count);
}

std::string ContentHash::hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_->state));
  return evergrove::hex(canonical.digest);
}

uint64_t text_hash(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

}  // namespace evergrove::source
