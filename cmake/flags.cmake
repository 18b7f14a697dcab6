# Compiler and linker flags. Library `flags` is linked by every target, `flags-ROOM` by one room's.
# They come after CFLAGS, CXXFLAGS and LDFLAGS of the environment, which are honoured.
add_library(flags INTERFACE)
foreach(name base wire flow net hub api cluster app)
  add_library(flags-${name} INTERFACE)
endforeach()

set(warnings -Wall -Wextra -Wshadow -Wvla -Wundef -Wcast-qual -Wformat=2 -Wimplicit-fallthrough
    -Wswitch-enum)
target_compile_definitions(flags INTERFACE _GNU_SOURCE)
target_compile_options(flags INTERFACE
  $<$<COMPILE_LANGUAGE:C,CXX>:${warnings};-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=>
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes;-Wmissing-prototypes>
  $<$<AND:$<BOOL:${PUSHCA_WERROR}>,$<COMPILE_LANGUAGE:C,CXX>>:-Werror>)
target_link_options(flags INTERFACE -Wl,--as-needed)
foreach(name base wire)
  target_compile_options(flags-${name} INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-Wconversion>)
endforeach()

if(PUSHCA_SANITIZE)
  set(sanitize -fsanitize=${PUSHCA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(flags INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:${sanitize}>)
  # fuzzer-no-link instruments; only the fuzz targets bring a main of their own
  string(REPLACE "fuzzer-no-link" "" linked "${PUSHCA_SANITIZE}")
  target_link_options(flags INTERFACE -fsanitize=${linked})
endif()

if(PUSHCA_HARDEN)
  target_compile_options(flags INTERFACE
    $<$<COMPILE_LANGUAGE:C,CXX>:-fPIE;-fstack-protector-strong>)
  target_link_options(flags INTERFACE -pie -Wl,-z,relro,-z,now)
  if(NOT CMAKE_C_FLAGS MATCHES "_FORTIFY_SOURCE")
    target_compile_options(flags INTERFACE
      $<$<COMPILE_LANGUAGE:C,CXX>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>)
  endif()
endif()

if(PUSHCA_LTO)
  include(CheckIPOSupported)
  check_ipo_supported(RESULT lto LANGUAGES C CXX)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ${lto})
  # several partitions gcc would hand to make, which need not be there
  if(lto AND CMAKE_C_COMPILER_ID STREQUAL GNU)
    target_link_options(flags INTERFACE -flto-partition=one)
  endif()
endif()
