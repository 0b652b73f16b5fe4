#include "core/sha256.hpp"

#include <array>
#include <memory>
#include <openssl/evp.h>
#include <stdexcept>

namespace keyshift {

std::string sha256_hex(std::string_view salt, std::string_view text)
{
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    if (context == nullptr || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1 ||
        EVP_DigestUpdate(context.get(), salt.data(), salt.size()) != 1 ||
        EVP_DigestUpdate(context.get(), text.data(), text.size()) != 1 ||
        EVP_DigestFinal_ex(context.get(), digest.data(), &length) != 1) {
        throw std::runtime_error("SHA-256 is not available in OpenSSL");
    }
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hex;
    for (unsigned int at = 0; at < length; ++at) {
        hex += kDigits[digest[at] >> 4U];
        hex += kDigits[digest[at] & 0x0FU];
    }
    return hex;
}

} // namespace keyshift
