#pragma once
/// Ownership of a C library's object in one line: `using PgResult = Handle<PGresult, &PQclear>;`

#include <memory>

namespace keyshift {

template <auto Release>
struct ReleaseBy {
    void operator()(auto* object) const noexcept { Release(object); }
};

template <typename T, auto Release>
using Handle = std::unique_ptr<T, ReleaseBy<Release>>;

} // namespace keyshift
